// A metadata value of a GGUF file.

private import JSONText

/// A metadata value. Integers of every width are one case, since writers choose different widths.
public enum GGUFValue: Sendable, Equatable {
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

/// The metadata of a GGUF file: keys to values, with typed access that reports what is missing.
public struct GGUFMetadata: Sendable {
    /// The file's path, for errors.
    public let path: String
    /// Every key and value.
    public let values: [String: GGUFValue]

    /// The raw value at `key`.
    public subscript(key: String) -> GGUFValue? { values[key] }

    /// The integer at `key`; nil if it is missing or of another type.
    public func integer(_ key: String) -> Int? {
        guard case .integer(let value)? = values[key] else { return nil }
        return Int(value)
    }

    /// The number at `key`, integer or float; nil if it is missing or of another type.
    public func number(_ key: String) -> Double? {
        switch values[key] {
        case .float(let value)?: value
        case .integer(let value)?: Double(value)
        default: nil
        }
    }

    /// The boolean at `key`; nil if it is missing or of another type.
    public func bool(_ key: String) -> Bool? {
        guard case .bool(let value)? = values[key] else { return nil }
        return value
    }

    /// The string at `key`, with invalid UTF-8 repaired; nil if it is missing or of another type.
    public func string(_ key: String) -> String? {
        guard case .string(let bytes)? = values[key] else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The integer at `key`.
    ///
    /// - Throws: `ModelFileError.missingKey`.
    public func requiredInteger(_ key: String) throws(ModelFileError) -> Int {
        guard let value = integer(key) else { throw .missingKey(path: path, key: key, expected: "an integer") }
        return value
    }

    /// The number at `key`.
    ///
    /// - Throws: `ModelFileError.missingKey`.
    public func requiredNumber(_ key: String) throws(ModelFileError) -> Double {
        guard let value = number(key) else { throw .missingKey(path: path, key: key, expected: "a number") }
        return value
    }

    /// The string at `key`.
    ///
    /// - Throws: `ModelFileError.missingKey`.
    public func requiredString(_ key: String) throws(ModelFileError) -> String {
        guard let value = string(key) else { throw .missingKey(path: path, key: key, expected: "a string") }
        return value
    }
}
