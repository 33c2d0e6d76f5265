// Where a prefill may begin after cached tokens, and what it costs in padded tokens.

import Testing

@testable import Platform

@Suite struct PrefillRulesTests {
    @Test(arguments: [
        (1, 0, 128), (128, 0, 128), (129, 0, 1024), (1024, 0, 1024), (1025, 0, 2048), (2049, 0, 4096),
        (1100, 1000, 128),
        (1100, 64, 2048),
    ])
    func theRestIsPaddedInSteps(total: Int, start: Int, length: Int) {
        #expect(PrefillPadding.rest.length(of: total, from: start) == length)
        #expect(PrefillPadding.whole.length(of: total, from: start) == PrefillPadding.rest.length(of: total, from: 0))
        #expect(PrefillPadding.none.length(of: total, from: start) == total - start)
    }

    @Test func rulesAreInOrder() {
        typealias Step = PrefillAlignment.Step
        #expect(PrefillAlignment(steps: []) == nil)
        #expect(PrefillAlignment(steps: [Step(length: 128, multiple: 0)]) == nil)
        #expect(PrefillAlignment(steps: [Step(length: 1024, multiple: 32), Step(length: 128, multiple: 32)]) == nil)
        #expect(PrefillAlignment(steps: [Step(length: 128, multiple: 32), Step(length: 1024, multiple: 32)]) != nil)
    }

    /// A longer rest asks for larger multiples, and a smaller start leaves a longer rest.
    @Test func startsAreFlooredUntilTheyFit() throws {
        let alignment = try #require(
            PrefillAlignment(steps: [.init(length: 1024, multiple: 64), .init(length: 2048, multiple: 256)]))
        #expect(alignment.start(atMost: 200, of: 1700, .rest) == 0)
        #expect(alignment.start(atMost: 1280, of: 1700, .rest) == 1280)
        #expect(alignment.start(atMost: 1300, of: 1700, .rest) == 1280)
        // 1024 tokens are left behind 676, and 1060 behind 640: that asks for a multiple of 256.
        #expect(alignment.start(atMost: 676, of: 1700, .rest) == 512)
        for total in stride(from: 2, to: 4000, by: 7) {
            for computed in stride(from: 0, to: total, by: 97) {
                let start = alignment.start(atMost: computed, of: total, .rest)
                let rest = PrefillPadding.rest.length(of: total, from: start)
                #expect(
                    start <= computed && start % (rest <= 1024 ? 64 : 256) == 0, "\(start) of \(computed), \(total)")
            }
        }
    }

    /// A short row that is not cheaper after cached tokens is prefilled whole, together with others.
    @Test func shortRowsShareOnlyWhereItSavesPadding() throws {
        let alignment = try #require(PrefillAlignment(steps: [.init(length: 1024, multiple: 32)]))
        #expect(alignment.start(atMost: 96, of: 120, .rest) == 0)
        #expect(alignment.start(atMost: 160, of: 250, .rest) == 160)
        #expect(alignment.start(atMost: 64, of: 250, .rest) == 0)
        #expect(alignment.start(atMost: 160, of: 250, .whole) == 0)
        // Of long rows at least the blocks are spared.
        #expect(alignment.start(atMost: 1056, of: 1250, .whole) == 1056)
    }
}
