// The KV pool's size: the contract's examples, the table, and the bounds of memory.

import FakeModel
import Platform
import Testing

struct KVBlockCountTests {
    @Test(arguments: [(131_072, 2080), (65_536, 1056), (32_768, 544)])
    func theContractsExamples(tokens: Int, blocks: Int) {
        #expect(KVBlockCount.blocks(maxTokensAllUsers: tokens, blockSize: 64, maxNumSeqs: 32) == blocks)
    }

    @Test(arguments: [
        ("Llama-3.1-8B-Instruct", 1, 32_768), ("meta-llama/Llama-3.1-8B", 2, 131_072), ("Mistral-7B-v0.3", 1, 65_536),
        ("gemma-3-4b-it", 2, 65_536), ("Qwen2.5-14B", 2, 65_536), ("gpt-oss-20b", 8, 1024),
        ("SmolLM2-135M-Instruct", 1, 131_072),
    ])
    func theTableGoesByModelAndChips(model: String, devices: Int, tokens: Int) {
        #expect(KVBlockCount.maxTokensAllUsers(model: model, deviceCount: devices) == tokens)
    }

    @Test func onlyWormholeIsShortOfMemory() {
        func limit(_ architecture: ChipArchitecture?) -> Int {
            KVBlockCount.maxTokensAllUsers(model: "Llama-3.1-8B", deviceCount: 1, architecture: architecture)
        }
        #expect(limit(.wormhole) == 32_768 && limit(nil) == 32_768 && limit(.blackhole) == 131_072)
    }

    @Test func theModelsOwnLimitCountsInsteadOfTheTable() throws {
        let checked = try TTPlatform.checkAndUpdateConfig(
            EngineConfiguration(), model: FakeMeshDevice.modelConfig(), platform: .chips)
        let pool = try KVBlockCount.pool(
            checked, model: "fake", bytesPerBlock: 1, availableBytes: nil, maxTokensAllUsers: 1600)
        #expect(pool.blockCount == 132)
    }

    @Test func aLengthOfMinusOneFitsThePool() throws {
        #expect(try pool(["max_model_len": .integer(-1)], available: 2 * 100 * 7).blockCount == 7)
        #expect(throws: ConfigurationError.self) { try pool(["max_model_len": .integer(-1)], available: 10) }
        let few = try TTPlatform.checkAndUpdateConfig(
            EngineConfiguration(parsing: ["max_model_len": .integer(-1), "num_blocks_override": .integer(5)]),
            model: FakeMeshDevice.modelConfig(), platform: .chips)
        #expect(few.maxModelLen == 80)
    }

    @Test func thePoolIsNeverLargerThanItCanBeUsed() throws {
        // 2 rows of at most 256 tokens.
        #expect(try pool(["max_num_seqs": .integer(2)], available: nil).blockCount == 32)
        #expect(try pool(["max_num_seqs": .integer(2)], available: 1 << 40).blockCount == 32)
    }

    @Test func theRuleBoundsManyRows() throws {
        let rows = 4096
        let shape = try pool(["max_num_seqs": .integer(rows)], available: nil)
        #expect(shape.blockCount == 131_072 / 16 + rows)
    }

    @Test func memoryBoundsThePoolAndOneSequenceMustFit() throws {
        #expect(try pool([:], available: 2 * 100 * 20).blockCount == 20)
        #expect(throws: ConfigurationError.keyValueCacheTooSmall(blocks: 15, blockSize: 16, maxModelLen: 256)) {
            try pool([:], available: 2 * 100 * 15)
        }
        #expect(try pool(["kv_cache_memory_bytes": .integer(1799)], available: 1).blockCount == 17)
        #expect(try pool(["num_blocks_override": .integer(16)], available: 1).blockCount == 16)
    }

    private func pool(_ settings: [String: ConfigurationValue], available: Int?) throws -> KVCacheShape {
        let checked = try TTPlatform.checkAndUpdateConfig(
            EngineConfiguration(parsing: settings), model: FakeMeshDevice.modelConfig(), platform: .processor)
        return try KVBlockCount.pool(checked, model: "fake", bytesPerBlock: 100, availableBytes: available)
    }
}
