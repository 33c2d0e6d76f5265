// The `bridge:` section of the configuration: the process that controls Tenstorrent hardware, and its deadlines.

public import Platform

/// Settings of the bridge process.
public struct BridgeConfiguration: Sendable, Equatable {
    /// The Python interpreter of the tt-metal environment.
    public var python = "python3"
    /// `module:Class` of the TT model; nil: the registry chooses it by architecture.
    public var modelClass: String?
    /// `HF_MODEL`: the checkpoint that the TT model loads, a name or a folder.
    public var hfModel: String?
    /// `EXTRA_MODELS_DIR`: folders that each contain a `vllm_metadata.json`.
    public var extraModelsDir: String?
    /// `TT_VISIBLE_DEVICES`: the chips to use, e.g. `0,1`.
    public var visibleDevices: String?
    /// The time limit for opening the mesh, in seconds.
    public var openDeadline = 300
    /// The time limit for loading the model and allocating its KV cache, in seconds. The first time, weights are
    /// converted.
    public var loadDeadline = 7200
    /// The time limit for the warm-up, in seconds; without a warm-up, for the first step of each kind. Kernels are
    /// compiled.
    public var warmUpDeadline = 3600
    /// The time limit for a prefill step, in seconds.
    public var prefillDeadline = 300
    /// The time limit for a decode step, in seconds.
    public var decodeDeadline = 60
    /// Seconds that the bridge has to close the mesh before it is killed. A kill can leave the links in a bad state.
    public var stopGrace = 60
    /// The command that resets the cards after the bridge has died or was killed, e.g. `tt-smi -r`.
    public var resetCommand: [String] = []
    /// Seconds to wait after a reset.
    public var resetWait = 5

    /// Makes the default settings.
    public init() {}
}

extension BridgeConfiguration: ConfigurationSection {
    /// Reads the section.
    ///
    /// - Throws: `ConfigurationError` with the key, the value and the allowed values.
    public init(parsing values: [String: ConfigurationValue]) throws(ConfigurationError) {
        try self.init(section: values)
    }

    /// The keys of the section, and what their values may be.
    package mutating func read(_ reader: ConfigurationReader) throws(ConfigurationError) {
        python = try reader.string("python") ?? python
        modelClass = try reader.string("model_class")
        if let modelClass, modelClass.split(separator: ":", omittingEmptySubsequences: false).count != 2 {
            throw .invalidValue(key: "model_class", value: .string(modelClass), expected: "module:Class")
        }
        hfModel = try reader.string("hf_model")
        extraModelsDir = try reader.string("extra_models_dir")
        visibleDevices = try Self.devices(reader, "visible_devices")
        let day = 86_400
        openDeadline = try reader.integer("open_deadline_s", in: 1...day) ?? openDeadline
        loadDeadline = try reader.integer("load_deadline_s", in: 1...day) ?? loadDeadline
        warmUpDeadline = try reader.integer("warm_up_deadline_s", in: 1...day) ?? warmUpDeadline
        prefillDeadline = try reader.integer("prefill_deadline_s", in: 1...day) ?? prefillDeadline
        decodeDeadline = try reader.integer("decode_deadline_s", in: 1...day) ?? decodeDeadline
        stopGrace = try reader.integer("stop_grace_s", in: 0...day) ?? stopGrace
        resetCommand = try Self.command(reader, "reset_command") ?? resetCommand
        resetWait = try reader.integer("reset_wait_s", in: 0...day) ?? resetWait
    }

    /// A list of chips: text (`0,1`), one number, or a list of numbers.
    private static func devices(
        _ reader: ConfigurationReader, _ key: String
    ) throws(ConfigurationError) -> String? {
        guard let value = reader.value(key) else { return nil }
        let parts: [String]
        switch value {
        case .integer(let number): parts = ["\(number)"]
        case .string(let text): parts = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        case .list(let items): parts = items.map { if case .integer(let number) = $0 { "\(number)" } else { "" } }
        default: parts = []
        }
        let numbers = parts.compactMap { UInt32($0.filter { !$0.isWhitespace }) }
        guard !numbers.isEmpty, numbers.count == parts.count, Set(numbers).count == numbers.count else {
            throw .invalidValue(key: key, value: value, expected: "different chips such as 0,1")
        }
        return numbers.map { "\($0)" }.joined(separator: ",")
    }

    /// The words of a command: text is split at spaces, a list is used unchanged.
    private static func command(
        _ reader: ConfigurationReader, _ key: String
    ) throws(ConfigurationError) -> [String]? {
        guard let value = reader.value(key) else { return nil }
        var words: [String] = []
        switch value {
        case .string(let text): words = text.split(separator: " ").map(String.init)
        case .list(let items): words = items.compactMap { if case .string(let word) = $0 { word } else { nil } }
        default: break
        }
        if case .list(let items) = value, items.count != words.count { words = [] }
        guard !words.isEmpty else {
            throw .invalidValue(key: key, value: value, expected: "a command such as tt-smi -r, or a list of its words")
        }
        return words
    }
}
