// What can be wrong with a configuration, with messages that let the operator correct it.

/// A configuration that cannot be run. It is found before any device is opened, or right after a model was loaded.
public enum ConfigurationError: Error, Equatable, CustomStringConvertible {
    /// The key is not one of the `known` keys.
    case unknownKey(String, known: [String])
    /// The value has the wrong type or is not allowed.
    case invalidValue(key: String, value: ConfigurationValue, expected: String)
    /// The value is valid but not supported.
    case unsupported(key: String, value: String, reason: String, remedy: String)
    /// Two settings contradict each other, or a setting contradicts the model or the device.
    case contradiction(String, remedy: String)
    /// No platform has this name.
    case unknownDevice(String, known: [String])
    /// The selected platform has no device, or with `auto`, none has.
    case noDevice(reasons: [String])
    /// The device has no model class for any of the model's architectures.
    case noModel(model: String, tried: [String], known: [String], platform: String)
    /// The memory for KV blocks does not hold one longest sequence.
    case keyValueCacheTooSmall(blocks: Int, blockSize: Int, maxModelLen: Int)

    /// A one-line message, with the remedy if there is one.
    public var description: String {
        switch self {
        case .unknownKey(let key, let known):
            "unknown key \(key); "
                + (ConfigurationReader.nearest(to: key, in: known).map { "did you mean \($0)?" }
                    ?? "known: \(known.joined(separator: ", "))")
        case .invalidValue(let key, let value, let expected):
            "\(key): \(value) is not valid; expected \(expected)"
        case .unsupported(let key, let value, let reason, let remedy):
            "\(key) = \(value): \(reason); \(remedy)"
        case .contradiction(let what, let remedy):
            "\(what); \(remedy)"
        case .unknownDevice(let name, let known):
            "unknown device \"\(name)\"; expected one of: \(known.joined(separator: ", "))"
        case .noDevice(let reasons):
            "no device: " + reasons.joined(separator: "; ")
        case .noModel(let model, let tried, let known, let platform):
            "no TT model for \(model) on \(platform): looked for \(tried.joined(separator: ", ")); "
                + "\(platform) has \(known.isEmpty ? "none" : known.joined(separator: ", "))"
        case .keyValueCacheTooSmall(let blocks, let blockSize, let maxModelLen):
            "the KV cache of \(blocks) blocks of \(blockSize) tokens does not hold one sequence of "
                + "max_model_len = \(maxModelLen) tokens; lower max_model_len to \(blocks * blockSize) or less, "
                + "or raise kv_cache_memory_bytes"
        }
    }
}

/// A setting that was changed or has no effect; it is always shown to the operator.
public struct ConfigurationWarning: Sendable, Hashable, CustomStringConvertible {
    /// The configuration key.
    public var key: String
    /// What was done and why.
    public var message: String

    /// A warning about `key`.
    public init(key: String, message: String) {
        self.key = key
        self.message = message
    }

    /// A one-line message.
    public var description: String { "\(key): \(message)" }
}
