// The persistent batch: lowest place first, rows that stay where they are, tables in step with the rows.

import Platform
import Sampling
import Testing

@testable import Worker

struct InputBatchTests {
    @Test func rowsTakeTheLowestEmptyPlaces() {
        var batch = filled(4)
        batch.remove(RequestID(2))
        batch.remove(RequestID(0))
        #expect(batch.add(row(7)) == 0)
        #expect(batch.add(row(8)) == 2)
        #expect(batch.rows.map { $0?.id.number } == [7, 1, 8, 3])
    }

    @Test func theOthersStayWhereTheyAreWhenARowLeaves() {
        var batch = filled(4)
        let version = batch.layoutVersion
        batch.remove(RequestID(1))
        #expect(batch.layoutVersion != version)
        #expect(batch.rows.map { $0?.id.number } == [0, nil, 2, 3])
        #expect(batch.pageTable[1].allSatisfy { $0 == 0 })
        #expect(Array(batch.pageTable[3]) == [30, 31, 0])
        let input = batch.decodeInput(
            slots: [0, 2, 3], sampling: [.onDevice(.greedy), .onHost, .onDevice(.greedy)], padding: .onHost)
        #expect(input.positions == [0, -1, 0, 0])
        #expect(input.sampling[1] == .onHost)
    }

    @Test func blocksAndTokensAreAppended() {
        var batch = filled(2)
        let (layout, table) = (batch.layoutVersion, batch.tableVersion)
        batch.append(blocks: [], at: 1)
        #expect(batch.tableVersion == table)
        batch.append(blocks: [[99]], at: 1)
        batch.append(token: 42, at: 1)
        #expect(Array(batch.pageTable[1]) == [10, 11, 99])
        #expect(batch.rows[1]?.tokens == [1, 42])
        #expect(batch.rows[1]?.generatedCount == 1)
        #expect(batch.tableVersion != table && batch.layoutVersion == layout)
    }

    private func filled(_ count: Int) -> InputBatch {
        var batch = InputBatch(
            maxNumSeqs: count, pageTableWidth: 3, kvCache: KVCacheShape(blockCount: 100, blockSize: 1))
        for number in 0..<count { _ = batch.add(row(number)) }
        return batch
    }

    private func row(_ number: Int) -> InputBatch.Row {
        InputBatch.Row(
            id: RequestID(number), tokens: [Int32(number)], promptLength: 1,
            blocks: [[Int32(number * 10), Int32(number * 10 + 1)]],
            sampling: SamplingParams(token: .greedy, maxTokens: 1))
    }
}
