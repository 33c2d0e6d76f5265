// JSON values that outlive their document, as chat templates need them. The order of keys is kept, and 1 and 1.0 are different.

/// A JSON value whose objects keep the order of their members.
public enum JSONValue: Sendable, Hashable {
    case null
    case bool(Bool)
    /// A number without fraction or exponent. Integers outside `Int64` are rejected when read.
    case int(Int64)
    /// Any other number.
    case double(Double)
    case string(String)
    case array([JSONValue])
    /// Members in the order of the text. Keys are unique in every object that was read from text.
    case object([Member])

    /// A member of an object.
    public struct Member: Sendable, Hashable {
        /// The member's name.
        public var key: String
        /// The member's value.
        public var value: JSONValue

        /// Makes a member of a name and a value.
        public init(_ key: String, _ value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    /// The value of a member; nil if this is not an object or has no such member.
    public subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key == key }?.value
    }

    /// Why a text could not be read as a `JSONValue`.
    public enum ReadError: Error, Equatable, CustomStringConvertible {
        /// The text is not JSON; `column` counts bytes, from 1.
        case syntax(column: Int, problem: String)
        /// An object has two members with the same name.
        case duplicateKey(String)
        /// An integer is beyond `Int64`.
        case integerOutOfRange(String)

        /// The reason in one line.
        public var description: String {
            switch self {
            case .syntax(let column, let problem): "column \(column): \(problem)"
            case .duplicateKey(let key): "the key \(Excerpt.quoted(key)) is given twice"
            case .integerOutOfRange(let number): "\(number) does not fit a 64-bit integer"
            }
        }
    }

    /// Reads one JSON text (RFC 8259, UTF-8, nested at most 128 deep).
    public init(parsing text: some Collection<UInt8>) throws(ReadError) {
        do {
            self = try JSONParser().withDocument(of: text) { try JSONValue($0) }
        } catch let error as ReadError {
            throw error
        } catch {
            let fault = JSONSyntaxScanner.fault(in: Array(text), of: .text)
            throw .syntax(column: fault.offset + 1, problem: fault.problem)
        }
    }

    /// Copies a node of a document.
    package init(_ node: JSONNode) throws(ReadError) {
        switch node.kind {
        case .null: self = .null
        case .bool: self = .bool(node.bool)
        case .int: self = .int(node.int)
        case .unsigned: throw .integerOutOfRange(String(node.unsigned))
        case .double: self = .double(node.double)
        case .string: self = .string(node.string)
        case .array:
            var elements: [JSONValue] = []
            for element in node.elements { elements.append(try JSONValue(element)) }
            self = .array(elements)
        case .object:
            var members: [Member] = []
            for (key, value) in node.members { members.append(Member(key.string, try JSONValue(value))) }
            if let key = Self.repeatedKey(members) { throw .duplicateKey(key) }
            self = .object(members)
        }
    }

    private static func repeatedKey(_ members: [Member]) -> String? {
        guard members.count > 1 else { return nil }
        var seen: Set<String> = []
        return members.first { !seen.insert($0.key).inserted }?.key
    }

    /// The value as JSON without spaces.
    public var text: String {
        var bytes: [UInt8] = []
        encode(into: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends the value as JSON without spaces.
    public func encode(into output: inout [UInt8]) {
        switch self {
        case .null: output.append(json: "null")
        case .bool(let value): output.append(json: value ? "true" : "false")
        case .int(let value): output.append(integer: value)
        case .double(let value): output.append(double: value)
        case .string(let value): output.append(string: value)
        case .array(let elements):
            output.appendArray(elements) { $0.encode(into: &$1) }
        case .object(let members):
            output.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                output.append(string: member.key)
                output.append(UInt8(ascii: ":"))
                member.value.encode(into: &output)
            }
            output.append(UInt8(ascii: "}"))
        }
    }
}

extension JSONValue: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// Makes `null`.
    public init(nilLiteral: ()) { self = .null }
    /// Makes a boolean.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// Makes an integer.
    public init(integerLiteral value: Int64) { self = .int(value) }
    /// Makes a floating-point number.
    public init(floatLiteral value: Double) { self = .double(value) }
    /// Makes a string.
    public init(stringLiteral value: String) { self = .string(value) }
    /// Makes an array.
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    /// Makes an object, with the members in the order of the literal.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(elements.map { Member($0.0, $0.1) })
    }
}
