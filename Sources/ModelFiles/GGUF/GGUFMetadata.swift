// The metadata of a GGUF file, with typed access.

/// The metadata of a GGUF file: keys to values, with typed access that reports what is missing.
public struct GGUFMetadata: Sendable {
    /// The file's path, for errors.
    public let path: String
    /// Every key and value.
    public let values: [String: MetadataValue]

    /// The raw value at `key`.
    public subscript(key: String) -> MetadataValue? { values[key] }

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
