// The values that a caller passes to a template: JSON's types, with the order of keys kept.

/// A template variable: JSON's data model, except that integers and floats are different types, as in Python.
public indirect enum JinjaValue: Sendable {
    /// Python's `None`, JSON's `null`.
    case null
    case bool(Bool)
    case int(Int)
    case float(Double)
    case string(String)
    case array([JinjaValue])
    /// Members in order. If keys are equal, the last member counts.
    case object([(key: String, value: JinjaValue)])
    /// A user's string in pieces. The mark of each piece identifies it in the rendering.
    case pieces([(text: String, mark: Int)])
    /// A user's value with a mark for all of its strings and keys, except those that have a mark of their own.
    case marked(JinjaValue, Int)
}

extension JinjaValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    /// A string value.
    public init(stringLiteral value: String) { self = .string(value) }
    /// A boolean value.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// An integer value.
    public init(integerLiteral value: Int) { self = .int(value) }
    /// A floating-point value.
    public init(floatLiteral value: Double) { self = .float(value) }
    /// A list value.
    public init(arrayLiteral elements: JinjaValue...) { self = .array(elements) }
    /// An object value, in the order written.
    public init(dictionaryLiteral elements: (String, JinjaValue)...) {
        self = .object(elements.map { (key: $0.0, value: $0.1) })
    }
    /// `None`.
    public init(nilLiteral: ()) { self = .null }
}
