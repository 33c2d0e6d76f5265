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
            checked, model: "fake", groups: [(window: nil, bytesPerBlock: 1)], availableBytes: nil,
            maxTokensAllUsers: 1600)
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

    /// A block of the layers without a window has 100 bytes, one of those with a window of 32 tokens 300.
    @Test func windowsTakeWhatTheyNeedAndTheOthersTheRest() throws {
        func counts(_ settings: [String: ConfigurationValue], available: Int? = nil) throws -> [Int] {
            let sizes: [String: ConfigurationValue] = [
                "max_num_seqs": .integer(2), "max_num_batched_tokens": .integer(256),
            ]
            let groups: [KVBlockCount.Group] = [(nil, 100), (32, 300)]
            let shape = try pool(settings.merging(sizes) { $1 }, available: available, groups)
            #expect(shape.groups.map(\.window) == [nil, 32] && shape.blockCount == shape.groups[0].blockCount)
            return shape.groups.map(\.blockCount)
        }
        // Two rows: 3 blocks each for a window that begins within one, and 17 for 256 tokens of prompts.
        #expect(try counts([:]) == [32, 23])
        #expect(try counts([:], available: 2 * 400 * 20) == [20, 20])
        #expect(try counts([:], available: 2 * (400 * 23 + 100 * 5)) == [28, 23])
        #expect(try counts([:], available: 2 * (400 * 23 + 100 * 5) - 1) == [27, 23])
        #expect(throws: ConfigurationError.self) { try counts([:], available: 2 * 400 * 15) }
        #expect(try counts(["num_blocks_override": .integer(30)]) == [30, 23])
        #expect(try counts(["num_blocks_override": .integer(20)]) == [20, 20])
        #expect(try counts(["kv_cache_memory_bytes": .integer(400 * 23 + 100 * 50)]) == [73, 23])
    }

    @Test func aModelOfWindowsAloneNeedsNoMore() throws {
        let sizes: [String: ConfigurationValue] = [
            "max_num_seqs": .integer(2), "max_num_batched_tokens": .integer(256),
        ]
        #expect(try pool(sizes, available: nil, [(32, 300)]).groups == [KVCacheGroup(window: 32, blockCount: 23)])
        // A window as long as the longest sequence keeps all of it.
        #expect(try pool(sizes, available: nil, [(256, 300)]).blockCount == 32)
    }

    @Test func aTokenFindsTheFirstBlockOfItsWindow() {
        let shape = KVCacheShape(
            groups: [KVCacheGroup(blockCount: 9), KVCacheGroup(window: 6, blockCount: 5)], blockSize: 4)
        #expect((0..<14).map { shape.firstBlock(of: 0, at: $0) } == Array(repeating: 0, count: 14))
        #expect((0..<14).map { shape.firstBlock(of: 1, at: $0) } == [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2])
        #expect(shape.longestSequence == 20)
        #expect(shape.group(ofWindow: nil) == 0 && shape.group(ofWindow: 7) == 0)
        #expect(shape.group(ofWindow: 6) == 1 && shape.group(ofWindow: 1) == 1)
        let windows = KVCacheShape(groups: [KVCacheGroup(window: 6, blockCount: 5)], blockSize: 4)
        #expect(windows.group(ofWindow: nil) == nil && windows.group(ofWindow: 7) == nil)
        // A window is what a file says.
        #expect(
            KVCacheShape(groups: [KVCacheGroup(window: .max, blockCount: 5)], blockSize: 4).firstBlock(of: 0, at: 9)
                == 0)
    }

    private func pool(
        _ settings: [String: ConfigurationValue], available: Int?,
        _ groups: [KVBlockCount.Group] = [(window: nil, bytesPerBlock: 100)]
    ) throws -> KVCacheShape {
        let checked = try TTPlatform.checkAndUpdateConfig(
            EngineConfiguration(parsing: settings), model: FakeMeshDevice.modelConfig(), platform: .processor)
        return try KVBlockCount.pool(checked, model: "fake", groups: groups, availableBytes: available)
    }
}
