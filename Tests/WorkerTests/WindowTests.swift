// Rows in groups of layers with a window: what a step must say of their blocks, and what they give up.

import FakeModel
import Platform
import Sampling
import Testing

@testable import Worker

struct WindowTests {
    private static let capabilities = {
        var capabilities = ModelCapabilities(
            supportsSampleOnDevice: true, deviceDraws: .sampleStream, prefixSharing: .anywhere)
        capabilities.kvCacheWindows = [nil, 6]
        return capabilities
    }()

    /// Blocks of 4 tokens, of which the group with a window has 4 · 3 + 48 / 4 + 1.
    private static func fixture() throws -> WorkerFixture {
        try WorkerFixture(settings: ["max_num_batched_tokens": .integer(48)], capabilities: capabilities)
    }

    @Test func theModelGetsTheGroupsItHas() throws {
        let shape = try Self.fixture().worker.limits.kvCache
        #expect(shape.groups == [KVCacheGroup(blockCount: 64), KVCacheGroup(window: 6, blockCount: 25)])
    }

    @Test func stepsWithOtherListsAreRefused() throws {
        // A beginning of 9 tokens, of which 9 are computed: token 9 attends to 4…9.
        let prompt = (0..<12).map { Int32(2 + $0) }
        let right: [[Int32]] = [[0, 1, 2, 3], [-1, 5, 6, 7]]
        func prefill(_ blocks: [[Int32]], computed: Int, copied: [Int32]) throws {
            let fixture = try Self.fixture()
            let first = PrefillRow(
                id: RequestID(0), tokens: prompt, promptLength: 12, blocks: [[10, 11, 12], [10, 11, 12]],
                sampling: SamplingParams(token: .greedy, maxTokens: 9))
            _ = try fixture.worker.execute(ScheduledStep(leaving: [], work: .prefill([first])))
            var second = first
            second.id = RequestID(1)
            (second.blocks, second.computedTokens, second.copiedBlocks) = (blocks, computed, copied)
            _ = try fixture.worker.execute(ScheduledStep(leaving: [], work: .prefill([second])))
        }
        try prefill(right, computed: 9, copied: [12, 12])
        try prefill([[0, 1, 2], [5, 6, 7]], computed: 0, copied: [])
        let wrong: [(blocks: [[Int32]], copied: [Int32])] = [
            ([right[0]], [12, 12]), (right + right, [12, 12]), ([right[0], [-1, 5, 6]], [12, 12]),
            // A block that no token needs, and none where one does.
            ([right[0], [4, 5, 6, 7]], [12, 12]), ([right[0], [-1, -1, 6, 7]], [12, 12]),
            ([[-1, 1, 2, 3], right[1]], [12, 12]),
            // Beyond the group's pool, which is smaller than the other.
            ([right[0], [-1, 5, 6, 25]], [12, 12]), (right, [12, 25]),
            (right, [12]), (right, []), (right, [12, -1]),
        ]
        for (blocks, copied) in wrong {
            #expect(throws: DeviceFault.self, "\(blocks) \(copied)") {
                try prefill(blocks, computed: 9, copied: copied)
            }
        }
    }

    @Test func decodedRowsGrowInEveryGroup() throws {
        let prompt = (0..<4).map { Int32(2 + $0) }
        let steps: [(new: [[Int32]], isRight: Bool)] = [
            ([[1], [1]], true), ([[1]], false), ([[1], []], false), ([[1], [25]], false),
        ]
        for (new, isRight) in steps {
            let fixture = try Self.fixture()
            let row = PrefillRow(
                id: RequestID(0), tokens: prompt, promptLength: 4, blocks: [[0], [0]],
                sampling: SamplingParams(token: .greedy, maxTokens: 9))
            _ = try fixture.worker.execute(ScheduledStep(leaving: [], work: .prefill([row])))
            let step = ScheduledStep(
                leaving: [], work: .decode([DecodeRow(id: RequestID(0), newBlocks: new)]))
            if isRight {
                _ = try fixture.worker.execute(step)
            } else {
                #expect(throws: DeviceFault.self) { try fixture.worker.execute(step) }
            }
        }
    }

    @Test func aRowGivesUpTheBlocksBehindItsWindow() {
        let shape = KVCacheShape(
            groups: [KVCacheGroup(blockCount: 9), KVCacheGroup(window: 3, blockCount: 9)], blockSize: 2)
        var batch = InputBatch(maxNumSeqs: 2, pageTableWidth: 5, kvCache: shape)
        let row = InputBatch.Row(
            id: RequestID(0), tokens: [1, 2, 3, 4, 5], promptLength: 5, blocks: [[1, 2, 3], [4, 5, 6]],
            sampling: SamplingParams(token: .greedy, maxTokens: 9))
        #expect(batch.add(row) == 0)
        let version = batch.tableVersion
        func lists() -> [[Int32]] { (0..<2).map { Array(batch.pageTable[0, group: $0]) } }
        #expect(lists() == [[1, 2, 3, 0, 0], [4, 5, 6, 0, 0]])
        // Token 5 attends to 3…5.
        batch.append(token: 6, at: 0)
        #expect(lists() == [[1, 2, 3, 0, 0], [0, 5, 6, 0, 0]])
        #expect(batch.rows[0]?.blocks == [[1, 2, 3], [-1, 5, 6]])
        batch.append(token: 7, at: 0)
        batch.append(blocks: [[7], [8]], at: 0)
        #expect(lists() == [[1, 2, 3, 7, 0], [0, 0, 6, 8, 0]])
        // A device may keep the entries of blocks that it does not read.
        #expect(batch.tableVersion == version + 1)
        batch.remove(RequestID(0))
        #expect(lists() == Array(repeating: [0, 0, 0, 0, 0], count: 2))
    }
}
