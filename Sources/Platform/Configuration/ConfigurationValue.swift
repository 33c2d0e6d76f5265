// A value as read from a configuration file or the command line, before its type is checked.

/// An untyped value. The daemon makes it from YAML, so that this module needs no YAML library.
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

    /// The value as it would be written in a configuration file.
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
