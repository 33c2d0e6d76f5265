// The merge order against the definition, and its cost on long runs.

import TestSupport
import Testing

@testable import Tokenizers

struct BytePairMergerTests {
    /// The definition: join the pair of lowest rank, leftmost first, until none is left.
    private func definition(_ bytes: [UInt8], _ merges: MergeTable) -> [Int32] {
        var ids = bytes.map { Int32($0) }
        while true {
            let best = (0..<max(ids.count - 1, 0)).compactMap { position in
                let merge = merges.merge(ids[position], ids[position + 1])
                return merge == .none ? nil : (position, merge)
            }.min { (a: (Int, Merge), b: (Int, Merge)) in a.1.rank < b.1.rank }
            guard let (position, merge) = best else { return ids }
            ids.replaceSubrange(position...position + 1, with: [merge.result])
        }
    }

    @Test(arguments: 0..<UInt64(200))
    func mergesByRankThenFromTheLeft(seed: UInt64) {
        var generator = SplitMix64(seed: seed)
        var listed: [(left: Int32, right: Int32, merge: Merge)] = []
        for rank in 0..<40 {
            let left = generator.next() % 2 == 0 ? Int32.random(in: 97...100, using: &generator) : 256 + Int32(rank) / 2
            let right =
                generator.next() % 2 == 0 ? Int32.random(in: 97...100, using: &generator) : 256 + Int32(rank) / 3
            listed.append((left, right, Merge(rank: UInt32(rank), result: 256 + Int32(rank))))
        }
        let table = MergeTable(listed)
        var merger = BytePairMerger(merges: table, symbols: .bytes((0..<256).map { Int32($0) }))
        for length in [0, 1, 2, 3, 7, 20, 61] {
            let piece = (0..<length).map { _ in UInt8.random(in: 97...100, using: &generator) }
            var ids: [Int32] = []
            piece.withUnsafeBufferPointer { merger.encode($0, into: &ids) }
            #expect(ids == definition(piece, table))
        }
    }

    @Test func leavesOutBytesWithoutATokenAndJoinsTheirNeighbours() {
        var byteTokens = (0..<256).map { Int32($0) }
        byteTokens[0] = -1
        let merges = MergeTable([(left: 97, right: 98, merge: Merge(rank: 0, result: 300))])
        var merger = BytePairMerger(merges: merges, symbols: .bytes(byteTokens))
        var ids: [Int32] = []
        [97, 0, 98, 0].withUnsafeBufferPointer { merger.encode($0, into: &ids) }
        #expect(ids == [300])
    }

    /// Quadratic merging would need ten billion steps here, and the suite would hang.
    @Test func encodesAVeryLongRun() throws {
        let tokenizer = try TinyVocabulary.tokenizer()
        let ids = try tokenizer.encode(String(repeating: "a", count: 400_001), specials: .text)
        #expect(ids.count == 100_001)
        #expect(tokenizer.decode(ids).utf8.count == 400_001)
    }
}
