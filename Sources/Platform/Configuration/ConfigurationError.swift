// What can be wrong with a configuration, said so that a person can put it right.

/// A configuration that cannot be run, found before any device is opened or right after a model was loaded.
public enum ConfigurationError: Error, Equatable, CustomStringConvertible {
    /// No such key among those that are `known`.
    case unknownKey(String, known: [String])
    /// The value has the wrong type or is none of the allowed ones.
    case invalidValue(key: String, value: ConfigurationValue, expected: String)
    /// The value is understood and not supported.
    case unsupported(key: String, value: String, reason: String, remedy: String)
    /// Two settings contradict each other, or a setting contradicts the model or the device.
    case contradiction(String, remedy: String)
    /// No platform has this name.
    case unknownDevice(String, known: [String])
    /// A platform was asked for, or any, and none has a device.
    case noDevice(reasons: [String])
    /// None of the model's architectures has a model on this device.
    case noModel(model: String, tried: [String], known: [String], platform: String)
    /// The memory for KV blocks does not hold one longest sequence.
    case keyValueCacheTooSmall(blocks: Int, blockSize: Int, maxModelLen: Int)

    /// One line for a person, with the remedy where there is one.
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

/// A setting that was changed or has no effect; shown to the operator, never swallowed.
public struct ConfigurationWarning: Sendable, Hashable, CustomStringConvertible {
    /// The key it is about.
    public var key: String
    /// What was done and why.
    public var message: String

    /// A warning about `key`.
    public init(key: String, message: String) {
        self.key = key
        self.message = message
    }

    /// One line for a person.
    public var description: String { "\(key): \(message)" }
}
