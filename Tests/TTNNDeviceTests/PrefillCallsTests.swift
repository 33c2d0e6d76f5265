// How a step's rows are divided into calls: what runs together, in which slots, and what that costs in padded tokens.

import Platform
import TestSupport
import Testing

@testable import TTNNDevice

@Suite struct PrefillCallsTests {
    private func rules(
        _ slots: PrefillSlots, largest: Int = 32, padding: PrefillPadding = .rest, chunk: Int? = nil,
        isTraced: Bool = false
    ) -> PrefillRules {
        PrefillRules(slots: slots, largestCall: largest, padding: padding, chunk: chunk, isTraced: isTraced)
    }

    /// Rows of `lengths` tokens that begin at `starts`, in `slots`.
    private func batch(_ lengths: [Int], slots: [Int]? = nil, starts: [Int32]? = nil) -> PrefillBatch {
        PrefillBatch(
            tokens: lengths.map { Array(repeating: 1, count: $0) },
            startPositions: starts ?? Array(repeating: 0, count: lengths.count),
            pageTable: PageTable(rows: lengths.count, width: 64), slots: slots ?? Array(lengths.indices),
            sampling: Array(repeating: .onHost, count: lengths.count))
    }

    @Test func rowsOfOnePaddedLengthGoTogether() {
        let calls = rules(.own).calls(
            for: batch([5, 300, 128, 129, 1, 2000], slots: [7, 6, 5, 4, 3, 2]), onDevice: true)
        #expect(
            calls == [
                PrefillCall(rows: [0, 2], slots: [7, 5]), PrefillCall(rows: [4], slots: [3]),
                PrefillCall(rows: [1, 3], slots: [6, 4]), PrefillCall(rows: [5], slots: [2]),
            ])
    }

    @Test func whatIsBehindCachedTokensOrInPiecesRunsAlone() {
        let calls = rules(.own, chunk: 1024).calls(
            for: batch([200, 200, 2000, 2000], starts: [0, 128, 0, 0]), onDevice: false)
        #expect(calls.map(\.rows) == [[0], [1], [2], [3]])
    }

    /// Until 2026-08 the slots only number the rows, unless the device samples.
    @Test func slotsInOrder() {
        let apart = batch([5, 6, 7, 8, 9], slots: [9, 3, 0, 1, 2])
        #expect(
            rules(.inOrder).calls(for: apart, onDevice: false) == [
                PrefillCall(rows: [0, 1, 2, 3], slots: [0, 1, 2, 3]), PrefillCall(rows: [4], slots: [0]),
            ])
        #expect(
            rules(.inOrder).calls(for: apart, onDevice: true) == [
                PrefillCall(rows: [2, 3, 4, 1], slots: [0, 1, 2, 3]), PrefillCall(rows: [0], slots: [9]),
            ])
        // The lowest slot is not 0: nothing goes together.
        #expect(rules(.inOrder).calls(for: batch([5, 6], slots: [1, 2]), onDevice: true).map(\.slots) == [[1], [2]])
    }

    /// From 2026-08 a pass reaches up to its highest slot, including slots without rows.
    @Test func aPassUpToTheHighestSlotMustBeWorthIt() {
        let near = rules(.spanning).calls(for: batch([5, 6, 7], slots: [2, 0, 1]), onDevice: true)
        #expect(near == [PrefillCall(rows: [1, 2, 0], slots: [0, 1, 2])])
        // 32 rows of padding would be computed for two.
        let far = rules(.spanning).calls(for: batch([500, 600], slots: [0, 31]), onDevice: false)
        #expect(far.map(\.rows) == [[0], [1]])
        // A trace keeps the slots that it was captured with: only full sets of the first ones go together.
        let traced = rules(.spanning, isTraced: true).calls(
            for: batch([5, 5, 5, 5, 5, 5], slots: [0, 1, 2, 3, 4, 6]), onDevice: true)
        #expect(traced.map(\.slots) == [[0, 1, 2, 3], [4], [6]])
    }

    @Test func aClassOfItsOwnKindGetsTheRowsAsTheyAre() {
        let calls = rules(.own, largest: 2, padding: .none).calls(
            for: batch([5, 2000, 7], slots: [4, 2, 9], starts: [0, 64, 0]), onDevice: true)
        #expect(calls == [PrefillCall(rows: [0, 1], slots: [4, 2]), PrefillCall(rows: [2], slots: [9])])
    }

    /// Whatever the rows, each is in one call, no call is too large, and no slot is named twice or outside.
    @Test(arguments: 0..<300 as Range<UInt64>) func everyRowIsInOneCall(seed: UInt64) {
        var random = XorShift64(state: seed &* 0x9E37_79B9_7F4A_7C15 | 1)
        let count = Int.random(in: 1...32, using: &random)
        let lengths = (0..<count).map { _ in Int.random(in: 1...2500, using: &random) }
        let slots = Array((0..<32).shuffled(using: &random).prefix(count))
        let starts = lengths.map { Int32(Bool.random(using: &random) ? 0 : $0 / 64 * 64 == $0 ? 0 : $0 / 64 * 64) }
        let kind = [PrefillSlots.inOrder, .spanning, .own].randomElement(using: &random)!
        let largest = [1, 8, 32].randomElement(using: &random)!
        let rules = rules(
            kind, largest: largest, padding: [.rest, .whole, .none].randomElement(using: &random)!,
            chunk: [nil, 1024].randomElement(using: &random)!, isTraced: Bool.random(using: &random))
        let onDevice = Bool.random(using: &random)
        let calls = rules.calls(for: batch(lengths, slots: slots, starts: starts), onDevice: onDevice)
        #expect(calls.flatMap(\.rows).sorted() == Array(0..<count))
        for call in calls {
            #expect(call.rows.count == call.slots.count && (1...largest).contains(call.rows.count))
            #expect(Set(call.slots).count == call.slots.count && call.slots.allSatisfy { (0..<32).contains($0) })
            if kind != .inOrder || onDevice { #expect(call.slots == call.rows.map { slots[$0] }) }
            if call.rows.count > 1 && rules.padding != .none {
                #expect(call.rows.allSatisfy { starts[$0] == 0 })
                #expect(Set(call.rows.map { rules.padding.length(of: lengths[$0], from: 0) }).count == 1)
            }
        }
    }
}
