// The platform's rules on configurations: what is refused, what is filled in, what is changed with a warning.

import FakeModel
import ModelFiles
import Platform
import Testing

struct PlatformRulesTests {
    @Test func defaultsAreFilledIn() throws {
        let checked = try check([:])
        #expect(checked.architectures == ["TTLlamaForCausalLM"])
        #expect(checked.maxModelLen == 256)
        #expect(checked.maxNumSeqs == 32)
        #expect(checked.blockSize == 16)
        #expect(checked.maxNumBatchedTokens == 2048)
        #expect(checked.blockSource == .rule)
        #expect(checked.deviceCount == 1)
        #expect(checked.warnings.isEmpty)
    }

    @Test(arguments: [
        ("enable_chunked_prefill", ConfigurationValue.boolean(true)), ("speculative_model", .string("draft")),
        ("enable_lora", .boolean(true)), ("tensor_parallel_size", .integer(2)),
        ("pipeline_parallel_size", .integer(2)), ("max_model_len", .integer(257)),
    ])
    func whatIsNotSupportedIsRefused(key: String, value: ConfigurationValue) {
        let error = #expect(throws: ConfigurationError.self) { try check([key: value]) }
        guard case .unsupported(key, _, _, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test func whatIsSwitchedOffMayBeSaid() throws {
        let checked = try check([
            "enable_chunked_prefill": .boolean(false), "enable_prefix_caching": .boolean(false),
            "enable_lora": .boolean(false), "tensor_parallel_size": .integer(1), "data_parallel_size": .integer(1),
        ])
        #expect(checked.warnings.isEmpty)
    }

    @Test func thePrefillBudgetHoldsTheLongestPrompt() throws {
        let checked = try check(["max_num_batched_tokens": .integer(100)])
        #expect(checked.maxNumBatchedTokens == 256)
        #expect(checked.warnings.map(\.key) == ["max_num_batched_tokens"])
        #expect(try check(["max_num_batched_tokens": .integer(300)]).maxNumBatchedTokens == 300)
    }

    @Test func settingsWithoutEffectAreWarnedOf() throws {
        let hardware: [String: ConfigurationValue] = [
            "trace_region_size": .integer(1), "fabric_config": .string("FABRIC_1D"),
        ]
        #expect(try check([:], tt: hardware).warnings.map(\.key) == ["fabric_config", "trace_region_size"])
        // The original set a fabric on one chip as well.
        #expect(try check([:], tt: hardware, platform: .chips).warnings.map(\.key) == ["fabric_config"])
        #expect(try check([:], tt: hardware, platform: .chips, devices: 2).warnings.isEmpty)
        #expect(try check(["threads": .integer(2)], platform: .chips).warnings.map(\.key) == ["threads"])
        #expect(try check(["bind_threads": .boolean(true)], platform: .chips).warnings.map(\.key) == ["bind_threads"])
        #expect(try check(["bind_threads": .boolean(true)]).warnings.isEmpty)
        let int8 = ["kv_cache_dtype": ConfigurationValue.string("int8")]
        #expect(try check(int8, platform: .chips).warnings.map(\.key) == ["kv_cache_dtype"])
        #expect(try check(int8).warnings.isEmpty && check(int8).kvCacheDType == .int8)
        #expect(throws: ConfigurationError.self) { try check(["kv_cache_dtype": .string("fp8")]) }
        #expect(try check([:], tt: ["register_test_models": .boolean(true)]).warnings.count == 1)
        let both = try check(["num_blocks_override": .integer(99), "kv_cache_memory_bytes": .integer(9)])
        #expect(both.blockSource == .blocks(99))
        #expect(both.warnings.map(\.key) == ["kv_cache_memory_bytes"])
    }

    @Test func dataParallelMayStandInEitherPlaceButNotContradictItself() throws {
        #expect(try EngineConfiguration(parsing: [:], tt: ["data_parallel": .integer(2)]).dataParallelSize == 2)
        for wrong in [0, 1025] {
            #expect(throws: ConfigurationError.self) { try check(["data_parallel_size": .integer(wrong)]) }
        }
        #expect(throws: ConfigurationError.self) {
            try check(["data_parallel_size": .integer(4)], tt: ["data_parallel": .integer(2)])
        }
    }

    @Test func encoderDecodersAreRefusedAndNamesArePrefixedOnce() throws {
        var model = try FakeMeshDevice.modelConfig()
        model.architectures = ["TTQwen2ForCausalLM", "LlamaForCausalLM"]
        #expect(try TTPlatform.ttArchitectures(of: model) == ["TTQwen2ForCausalLM", "TTLlamaForCausalLM"])
        model.architectures = ["T5ForConditionalGeneration"]
        #expect(throws: ConfigurationError.self) { try TTPlatform.ttArchitectures(of: model) }
    }

    @Test func whatTheModelCannotDoIsRefusedWhereItWasAskedFor() throws {
        let plain = ModelCapabilities(supportsSampleOnDevice: false)
        var checked = try check([:])
        try TTPlatform.check(&checked, against: plain, model: "m")
        #expect(checked.tt.sampleOnDeviceMode == .none)
        #expect(checked.warnings.map(\.key) == ["sample_on_device_mode"])
        try refuses(plain, [:], tt: ["sample_on_device_mode": .string("all")])
        try refuses(
            ModelCapabilities(supportsSampleOnDevice: true, supportedBatchSizes: [1, 2, 4]),
            ["max_num_seqs": .integer(3)])
    }

    @Test(arguments: [nil, true, false] as [Bool?], [true, false])
    func prefixesAreSharedWhereTheModelCanUnlessSwitchedOff(asked: Bool?, can: Bool) throws {
        let capabilities = ModelCapabilities(supportsSampleOnDevice: true, prefixSharing: can ? .anywhere : .none)
        let settings = asked.map { ["enable_prefix_caching": ConfigurationValue.boolean($0)] } ?? [:]
        if asked == true, !can { return try refuses(capabilities, settings) }
        var checked = try check(settings)
        try TTPlatform.check(&checked, against: capabilities, model: "m")
        #expect(checked.prefixSharing == (can && asked != false ? .anywhere : .none))
        #expect(checked.warnings.isEmpty)
    }

    private func refuses(
        _ capabilities: ModelCapabilities, _ settings: [String: ConfigurationValue],
        tt: [String: ConfigurationValue] = [:]
    ) throws {
        var checked = try check(settings, tt: tt)
        #expect(throws: ConfigurationError.self) {
            try TTPlatform.check(&checked, against: capabilities, model: "m")
        }
    }

    private func check(
        _ settings: [String: ConfigurationValue], tt: [String: ConfigurationValue] = [:],
        platform: PlatformTraits = .processor,
        devices: Int = 1
    ) throws -> CheckedConfiguration {
        try TTPlatform.checkAndUpdateConfig(
            EngineConfiguration(parsing: settings, tt: tt), model: FakeMeshDevice.modelConfig(),
            platform: platform, deviceCount: devices)
    }
}

extension PlatformTraits {
    /// As the host device's.
    static let processor = PlatformTraits(
        name: "host", hasChips: false, computesOnProcessors: true, choosesKVCacheDType: true)
    /// As a card's.
    static let chips = PlatformTraits(
        name: "ttnn", hasChips: true, computesOnProcessors: false, choosesKVCacheDType: false)
}
