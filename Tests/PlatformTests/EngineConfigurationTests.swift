// The engine's keys: their values and what is said about wrong ones.

import Platform
import Testing

struct EngineConfigurationTests {
    @Test func everyKeyIsRead() throws {
        let configuration = try EngineConfiguration(
            parsing: [
                "device": .string("host"), "mesh_device": .string("T3K"), "threads": .integer(3),
                "bind_threads": .boolean(true),
                "max_model_len": .integer(100), "max_num_seqs": .integer(8), "block_size": .integer(64),
                "max_num_batched_tokens": .integer(200), "kv_cache_memory_bytes": .integer(1000),
                "kv_cache_dtype": .string("int8"),
                "num_blocks_override": .integer(12), "tensor_parallel_size": .integer(2),
                "pipeline_parallel_size": .integer(3), "data_parallel_size": .integer(4),
                "enable_chunked_prefill": .boolean(true), "enable_prefix_caching": .boolean(false),
                "speculative_model": .string("draft"), "enable_lora": .boolean(true),
            ], tt: ["optimizations": .string("accuracy")])
        var expected = EngineConfiguration()
        expected.device = "host"
        expected.meshDevice = .named(.t3k)
        expected.threads = 3
        expected.bindThreads = true
        expected.maxModelLen = 100
        expected.maxNumSeqs = 8
        expected.blockSize = 64
        expected.maxNumBatchedTokens = 200
        expected.kvCacheMemoryBytes = 1000
        expected.kvCacheDType = .int8
        expected.numBlocksOverride = 12
        expected.tensorParallelSize = 2
        expected.pipelineParallelSize = 3
        expected.dataParallelSize = 4
        expected.enableChunkedPrefill = true
        expected.enablePrefixCaching = false
        expected.speculativeModel = "draft"
        expected.enableLoRA = true
        expected.tt = try TTConfig(parsing: ["optimizations": .string("accuracy")])
        #expect(configuration == expected)
    }

    @Test(arguments: EngineConfiguration.keys)
    func aWrongValueIsRefusedWithKeyAndValue(key: String) {
        for value in [ConfigurationValue.string(""), .null, .number(1.5), .integer(-2)] {
            let error = #expect(throws: ConfigurationError.self) { try EngineConfiguration(parsing: [key: value]) }
            guard case .invalidValue(key, value, _) = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
        }
    }

    @Test func anUnknownKeyNamesTheNearestKnownOne() {
        #expect(throws: ConfigurationError.unknownKey("max_num_seq", known: EngineConfiguration.keys)) {
            try EngineConfiguration(parsing: ["max_num_seq": .integer(1)])
        }
    }

    @Test func lengthsOfMinusOneFit() throws {
        #expect(try EngineConfiguration(parsing: ["max_model_len": .integer(-1)]).maxModelLen == .fit)
        #expect(throws: ConfigurationError.self) { try EngineConfiguration(parsing: ["max_model_len": .integer(0)]) }
    }
}
