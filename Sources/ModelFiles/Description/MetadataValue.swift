// A value of a configuration, whatever the container.

private import JSONText

/// A value of a GGUF file's metadata, or of a `config.json` in its terms. Integers of every width are one case, since writers
/// choose different widths.
public enum MetadataValue: Sendable, Equatable {
    /// Any integer type of the file.
    case integer(Int64)
    /// `float32` or `float64`.
    case float(Double)
    /// A boolean.
    case bool(Bool)
    /// A string as bytes, since vocabularies need not be UTF-8.
    case string([UInt8])
    /// An array of integers of any width, or of booleans as 0 and 1.
    case integers([Int64])
    /// An array of floats.
    case floats([Double])
    /// An array of strings, as bytes.
    case strings([[UInt8]])

    /// The value for a message: shortened, and arrays only counted.
    var excerpt: String {
        switch self {
        case .integer(let number): "\(number)"
        case .float(let number): "\(number)"
        case .bool(let flag): "\(flag)"
        case .string(let bytes): Excerpt.quoted(String(decoding: bytes.prefix(300), as: UTF8.self))
        case .integers(let numbers): "an array of \(numbers.count) integers"
        case .floats(let numbers): "an array of \(numbers.count) numbers"
        case .strings(let strings): "an array of \(strings.count) strings"
        }
    }
}
