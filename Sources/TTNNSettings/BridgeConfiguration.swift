// The `bridge:` section of the configuration: the process that holds Tenstorrent hardware, and how long it may take.

public import Platform

/// Settings of the bridge process.
public struct BridgeConfiguration: Sendable, Equatable {
    /// The interpreter of the tt-metal environment.
    public var python = "python3"
    /// `module:Class` of the TT model; the registry decides by architecture where not given.
    public var modelClass: String?
    /// `HF_MODEL`: the checkpoint that the TT model loads, a name or a folder.
    public var hfModel: String?
    /// `EXTRA_MODELS_DIR`: folders with a `vllm_metadata.json` each.
    public var extraModelsDir: String?
    /// `TT_VISIBLE_DEVICES`: the chips to use, for example `0,1`.
    public var visibleDevices: String?
    /// Seconds in which the mesh must be open.
    public var openDeadline = 300
    /// Seconds in which the model must be loaded and its KV cache allocated; the first time, weights are converted.
    public var loadDeadline = 7200
    /// Seconds for the warm-up, and for the first step of each kind where there is none: kernels are compiled.
    public var warmUpDeadline = 3600
    /// Seconds in which a prefill step must come to its end.
    public var prefillDeadline = 300
    /// Seconds in which a decode step must come to its end.
    public var decodeDeadline = 60
    /// Seconds that the bridge has to close the mesh before it is killed; a kill can leave links in disorder.
    public var stopGrace = 60
    /// What resets the cards after the bridge has died or was killed, for example `tt-smi -r`.
    public var resetCommand: [String] = []
    /// Seconds to wait after a reset.
    public var resetWait = 5

    /// All defaults.
    public init() {}
}

extension BridgeConfiguration: ConfigurationSection {
    /// Keys of the section.
    public static var keys: [String] { sectionKeys }

    /// Reads the section.
    ///
    /// - Throws: `ConfigurationError` that names the key, the value and what is allowed.
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

    /// A list of chips as text (`0,1`), one number, or a list of numbers.
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

    /// Words of a command: a text is divided at spaces, a list is taken as it is.
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
