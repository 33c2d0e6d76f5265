// The platform's rules for configurations: which settings are valid, and the sizes that follow from them.

public import ModelFiles

/// The rules of the Tenstorrent platform that need no hardware (TT contract §2.1).
public enum TTPlatform {
    /// Tokens in a KV block if the configuration does not say.
    public static let defaultBlockSize = 16
    /// Smallest prefill budget in tokens if the configuration does not say.
    static let leastBatchedTokens = 2048

    /// Checks `configuration` against the platform's rules and the model, and completes it.
    ///
    /// - Parameters:
    ///   - configuration: the settings as configured.
    ///   - model: the model to run.
    ///   - platform: the device's platform, for warnings about settings that have no effect on it.
    ///   - deviceCount: chips of the opened mesh.
    ///   - chipArchitecture: generation of its chips; `nil` if it has none.
    ///   - maxTokensAllUsers: tokens of all rows together that the device has room for; `nil` if its free memory
    ///     decides.
    ///   - defaultTraceMode: which steps the device runs as traces if the configuration does not say.
    ///   - deviceWarnings: the opened device's warnings about settings that it could not apply.
    /// - Throws: `ConfigurationError` for what is not supported or contradicts itself.
    public static func checkAndUpdateConfig(
        _ configuration: EngineConfiguration, model: ModelConfig, platform: PlatformTraits, deviceCount: Int = 1,
        chipArchitecture: ChipArchitecture? = nil, maxTokensAllUsers: Int? = nil, defaultTraceMode: TraceMode? = nil,
        deviceWarnings: [ConfigurationWarning] = []
    ) throws(ConfigurationError) -> CheckedConfiguration {
        try refuseUnsupported(configuration)
        let architectures = try ttArchitectures(of: model)
        let maxModelLen = try maxModelLen(configuration, model: model, maxTokensAllUsers: maxTokensAllUsers)
        let budget = try maxNumBatchedTokens(configuration, maxModelLen: maxModelLen)
        var tt = configuration.tt
        if let defaultTraceMode, !tt.givenKeys.contains("trace_mode") { tt.traceMode = defaultTraceMode }
        return CheckedConfiguration(
            architectures: architectures, maxModelLen: maxModelLen,
            fitsModelLenToPool: configuration.maxModelLen(of: model) == .fit, maxNumSeqs: configuration.maxNumSeqs,
            maxNumBatchedTokens: budget.tokens, blockSize: configuration.blockSize ?? defaultBlockSize,
            blockSource: blockSource(configuration), kvCacheDType: configuration.kvCacheDType,
            deviceCount: deviceCount, chipArchitecture: chipArchitecture,
            requestedPrefixCaching: configuration.enablePrefixCaching, tt: tt,
            warnings: budget.warnings + hardwareWarnings(configuration, platform, deviceCount) + deviceWarnings)
    }

    /// Checks the configuration against the loaded model's capabilities (TT contract §1.9), and completes what depends
    /// on them.
    ///
    /// - Throws: `ConfigurationError` if the configuration asks for what the model cannot do.
    public static func check(
        _ configuration: inout CheckedConfiguration, against capabilities: ModelCapabilities, model: String
    ) throws(ConfigurationError) {
        if let sizes = capabilities.supportedBatchSizes, !sizes.contains(configuration.maxNumSeqs) {
            throw .unsupported(
                key: "max_num_seqs", value: "\(configuration.maxNumSeqs)",
                reason: "\(model) runs batches of \(sizes.map(String.init).joined(separator: ", "))",
                remedy: "choose one of these")
        }
        if configuration.requestedPrefixCaching == true, capabilities.prefixSharing == .none {
            throw .unsupported(
                key: "enable_prefix_caching", value: "true", reason: "\(model) cannot share KV blocks",
                remedy: "leave it out, or choose a model that can")
        }
        configuration.prefixSharing =
            configuration.requestedPrefixCaching == false ? .none : capabilities.prefixSharing
        // There is no chunked prefill: the budget must hold the longest prompt as the device pads it.
        configuration.maxNumBatchedTokens = max(
            configuration.maxNumBatchedTokens,
            capabilities.prefillPadding.length(of: configuration.maxModelLen, from: 0))
        guard !capabilities.supportsSampleOnDevice, configuration.tt.sampleOnDeviceMode != .none else { return }
        if configuration.tt.givenKeys.contains("sample_on_device_mode") {
            throw .unsupported(
                key: "sample_on_device_mode", value: configuration.tt.sampleOnDeviceMode.rawValue,
                reason: "\(model) cannot sample on the device",
                remedy: "set it to none or choose a model that can")
        }
        configuration.tt.sampleOnDeviceMode = .none
        configuration.warnings.append(
            ConfigurationWarning(
                key: "sample_on_device_mode",
                message: "\(model) cannot sample on the device; all tokens are sampled on the host"))
    }

    /// The class names to look for: the model's, each with the prefix `TT`.
    public static func ttArchitectures(of model: ModelConfig) throws(ConfigurationError) -> [String] {
        for name in model.architectures where encoderDecoders.contains(where: name.hasPrefix) {
            throw .unsupported(
                key: "model", value: model.name, reason: "\(name) is an encoder-decoder",
                remedy: "choose a decoder-only model")
        }
        return model.architectures.map { $0.hasPrefix("TT") ? $0 : "TT" + $0 }
    }

    /// Prefixes of the class names of common encoder-decoder models.
    private static let encoderDecoders = [
        "T5", "MT5", "UMT5", "LongT5", "SwitchTransformers", "Bart", "MBart", "Pegasus", "Marian", "Blenderbot",
        "M2M100", "NllbMoe", "ProphetNet", "Whisper", "Speech2Text", "SeamlessM4T", "EncoderDecoder",
        "VisionEncoderDecoder", "Florence2", "LED",
    ]
}

extension TTPlatform {
    private static func refuseUnsupported(_ configuration: EngineConfiguration) throws(ConfigurationError) {
        if configuration.enableChunkedPrefill == true {
            throw .unsupported(
                key: "enable_chunked_prefill", value: "true", reason: "every prompt is prefilled in one step",
                remedy: "leave it out")
        }
        if let draft = configuration.speculativeModel {
            throw .unsupported(
                key: "speculative_model", value: draft, reason: "there is no speculative decoding",
                remedy: "leave it out")
        }
        if configuration.enableLoRA {
            throw .unsupported(
                key: "enable_lora", value: "true", reason: "there are no LoRA adapters",
                remedy: "merge the adapter into the weights")
        }
        let distributed = [
            ("tensor_parallel_size", configuration.tensorParallelSize),
            ("pipeline_parallel_size", configuration.pipelineParallelSize),
        ]
        for (key, size) in distributed where size != 1 {
            throw .unsupported(
                key: key, value: "\(size)", reason: "a model is not divided over processes",
                remedy: "leave it out; a mesh is chosen by mesh_device")
        }
        guard configuration.maxNumSeqs > 0, configuration.blockSize ?? 1 > 0 else {
            throw .contradiction("max_num_seqs and block_size must be at least 1", remedy: "raise them")
        }
    }

    private static func maxModelLen(
        _ configuration: EngineConfiguration, model: ModelConfig, maxTokensAllUsers: Int?
    ) throws(ConfigurationError) -> Int {
        let length: Int
        switch configuration.maxModelLen(of: model) {
        case .model: length = model.contextLength
        case .tokens(let tokens), .fitted(let tokens): length = tokens
        case .fit:
            // A board's capacity is known before the model is loaded, and the model's class needs it.
            var pool = maxTokensAllUsers ?? Int.max
            if let blocks = configuration.numBlocksOverride {
                pool = blocks.multipliedReportingOverflow(by: configuration.blockSize ?? defaultBlockSize).partialValue
            }
            length = max(2, min(model.contextLength, pool))
        }
        guard (2...max(2, model.contextLength)).contains(length) else {
            throw .unsupported(
                key: model.maxModelLen == nil ? "max_model_len" : "max_model_len under models:", value: "\(length)",
                reason: "\(model.name) was trained for sequences of 2 to \(model.contextLength) tokens",
                remedy: "choose a length within them")
        }
        return length
    }

    /// There is no chunked prefill, so the budget of a step must hold the longest prompt.
    private static func maxNumBatchedTokens(
        _ configuration: EngineConfiguration, maxModelLen: Int
    ) throws(ConfigurationError) -> (tokens: Int, warnings: [ConfigurationWarning]) {
        guard let given = configuration.maxNumBatchedTokens else {
            return (max(maxModelLen, leastBatchedTokens), [])
        }
        if given >= maxModelLen { return (given, []) }
        let warning = ConfigurationWarning(
            key: "max_num_batched_tokens",
            message: "raised from \(given) to max_model_len = \(maxModelLen): prompts are prefilled in one piece")
        return (maxModelLen, [warning])
    }

    private static func blockSource(_ configuration: EngineConfiguration) -> CheckedConfiguration.BlockSource {
        if let blocks = configuration.numBlocksOverride { return .blocks(blocks) }
        if let bytes = configuration.kvCacheMemoryBytes { return .bytes(bytes) }
        return .rule
    }

    private static func hardwareWarnings(
        _ configuration: EngineConfiguration, _ platform: PlatformTraits, _ deviceCount: Int
    ) -> [ConfigurationWarning] {
        var warnings: [ConfigurationWarning] = []
        func warn(_ key: String, _ message: String) {
            warnings.append(ConfigurationWarning(key: key, message: message))
        }
        let given = configuration.tt.givenKeys
        if !platform.hasChips {
            for key in given.intersection(TTConfig.hardwareKeys).sorted() {
                warn(key, "has no effect on the \(platform.name) device")
            }
        }
        if !platform.computesOnProcessors, configuration.threads != nil {
            warn("threads", "has no effect on \(platform.name)")
        }
        if !platform.choosesKVCacheDType, configuration.kvCacheDType != nil {
            warn("kv_cache_dtype", "has no effect on \(platform.name): the TT model decides")
        }
        if !platform.computesOnProcessors, configuration.bindThreads {
            warn("bind_threads", "has no effect on \(platform.name)")
        }
        if platform.hasChips, deviceCount == 1, given.contains("fabric_config") {
            warn("fabric_config", "has no effect on a single device")
        }
        if configuration.tt.registerTestModels {
            warn("register_test_models", "\(platform.name) has no test models")
        }
        if configuration.numBlocksOverride != nil, configuration.kvCacheMemoryBytes != nil {
            warn("kv_cache_memory_bytes", "has no effect beside num_blocks_override")
        }
        return warnings
    }
}
