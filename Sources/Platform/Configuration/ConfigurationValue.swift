// A value as it stood in a configuration file or on a command line, before anything knows what it should be.

/// A neutral value; the daemon makes it from YAML, so that this room needs no YAML library.
public enum ConfigurationValue: Sendable, Hashable, CustomStringConvertible {
    /// Text.
    case string(String)
    /// A whole number.
    case integer(Int)
    /// A number with a fraction.
    case number(Double)
    /// True or false.
    case boolean(Bool)
    /// Several values in order.
    case list([ConfigurationValue])
    /// A key without a value.
    case null

    /// The value as a person would write it.
    public var description: String {
        switch self {
        case .string(let value): "\"\(value)\""
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .boolean(let value): "\(value)"
        case .list(let values): "[" + values.map(\.description).joined(separator: ", ") + "]"
        case .null: "null"
        }
    }
}
