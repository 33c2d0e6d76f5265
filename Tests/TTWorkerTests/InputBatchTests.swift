// The persistent batch: lowest place first, gaps closed by the highest rows, tables in step with the rows.

import TTPlatform
import Testing

@testable import TTWorker

struct InputBatchTests {
    @Test func rowsTakeTheLowestEmptyPlaces() {
        var batch = filled(4)
        batch.remove(RequestID(2))
        batch.remove(RequestID(0))
        #expect(batch.add(row(7)) == 0)
        #expect(batch.add(row(8)) == 2)
        #expect(batch.rows.map { $0?.id.rawValue } == [7, 1, 8, 3])
    }

    @Test func condensingMovesTheHighestRowsIntoTheLowestGaps() {
        var batch = filled(6)
        for id in [0, 2, 4] { batch.remove(RequestID(id)) }
        let remap = batch.condense()
        #expect(batch.rows.map { $0?.id.rawValue } == [5, 1, 3, nil, nil, nil])
        #expect(remap == [5, 1, 3, 2, 4, 0])
        #expect(batch.place(of: RequestID(5)) == 0)
        #expect(Array(batch.pageTable[0]) == [50, 51, 0])
        #expect(batch.pageTable[5].allSatisfy { $0 == 0 })
    }

    @Test func withoutGapsNothingMoves() {
        var batch = filled(4)
        batch.remove(RequestID(3))
        let version = batch.layoutVersion
        #expect(batch.condense() == nil)
        #expect(batch.layoutVersion == version)
    }

    @Test func blocksAndTokensAreAppended() {
        var batch = filled(2)
        let (layout, table) = (batch.layoutVersion, batch.tableVersion)
        batch.append(blocks: [], at: 1)
        #expect(batch.tableVersion == table)
        batch.append(blocks: [99], at: 1)
        batch.append(token: 42, at: 1)
        #expect(Array(batch.pageTable[1]) == [10, 11, 99])
        #expect(batch.rows[1]?.tokens == [1, 42])
        #expect(batch.rows[1]?.generatedCount == 1)
        #expect(batch.tableVersion != table && batch.layoutVersion == layout)
    }

    private func filled(_ count: Int) -> InputBatch {
        var batch = InputBatch(maxNumSeqs: count, pageTableWidth: 3)
        for number in 0..<count { _ = batch.add(row(number)) }
        return batch
    }

    private func row(_ number: Int) -> InputBatch.Row {
        InputBatch.Row(
            id: RequestID(number), tokens: [Int32(number)], promptLength: 1,
            blocks: [Int32(number * 10), Int32(number * 10 + 1)],
            sampling: SamplingParams(token: .greedy, maxTokens: 1))
    }
}
