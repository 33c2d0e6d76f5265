// How attention is parted among items: everything once, in order, and long contexts divided.

import CHostKernels
import Testing

@testable import HostDevice

@Suite struct AttentionPlanTests {
    private static let span = Int(HK_SPAN)
    private static let threads = 2

    /// Sequences as (first position, tokens), each with a page table row of its own.
    private struct Planned {
        let plan: AttentionPlan
        /// Each item's units with their spans.
        let items: [[(unit: AttentionUnit, part: Range<Int>)]]

        init(_ sequences: [(start: Int, tokens: Int)], neighbours: Int = 4, window: Int? = nil) throws {
            let rows = sequences.map(\.tokens).reduce(0, +)
            let geometry = DecoderGeometry(
                hidden: 64, feedForward: 64, headSize: 16, queryHeads: 6, keyValueHeads: 3, vocabulary: 8)
            plan = try AttentionPlan(
                tokens: rows, neighbours: neighbours, longest: 1 << 16, window: window,
                threads: AttentionPlanTests.threads,
                geometry: geometry)
            let tokens = try DeviceBuffer<StepToken>(count: rows)
            var row = 0
            for (index, sequence) in sequences.enumerated() {
                for position in sequence.start..<sequence.start + sequence.tokens {
                    tokens.base[row] = StepToken(token: 0, position: Int32(position), tableOffset: Int32(index * 4096))
                    row += 1
                }
            }
            plan.prepare(tokens.base, rows: rows)
            items = (0..<plan.itemCount).map { [plan] item in
                var units: [(AttentionUnit, Range<Int>)] = []
                plan.items.forEachUnit(of: item) { unit, part, _ in units.append((unit, part)) }
                return units
            }
        }

        /// Positions times tokens of an item.
        func cost(_ item: [(unit: AttentionUnit, part: Range<Int>)]) -> Int {
            item.map { unit, part in
                unit.tokens * (min(part.upperBound * span, unit.length) - part.lowerBound * span)
            }.reduce(0, +)
        }
    }

    @Test(
        arguments: [
            [(0, 1)], [(0, 128)], [(500, 100)], [(40_000, 1)], [(40_000, 7), (3, 2), (509, 9)],
            [(600, 1), (20_000, 1), (5, 1)],
            (0..<64).map { ($0 * 37, 1 + $0 % 3) }, (0..<32).map { _ in (1400, 1) },
        ] as [[(start: Int, tokens: Int)]], [nil, 1, 16, 512, 4100])
    func everySpanOfEveryTokenAndHeadIsOneItems(_ sequences: [(start: Int, tokens: Int)], window: Int?) throws {
        let planned = try Planned(sequences, window: window)
        var seen: [[Int]] = []
        for (unit, part) in planned.items.joined() {
            let last = unit.length + unit.tokens - 1
            #expect((last + Self.span - 1) / Self.span == unit.spans.upperBound)
            if let window { #expect(max(0, last - window) / Self.span == unit.spans.lowerBound) }
            for token in 0..<unit.tokens { for span in part { seen.append([unit.row + token, unit.head, span]) } }
        }
        var expected: [[Int]] = []
        var row = 0
        for sequence in sequences {
            for position in sequence.start..<sequence.start + sequence.tokens {
                let first = window.map { max(0, position + 1 - $0) / Self.span } ?? 0
                for head in 0..<3 { for span in first...position / Self.span { expected.append([row, head, span]) } }
                row += 1
            }
        }
        #expect(seen.sorted { $0.lexicographicallyPrecedes($1) } == expected)
    }

    @Test func aDividedUnitEndsWhenAllItsItemsHave() throws {
        let planned = try Planned([(20_000, 1), (100, 1), (9_000, 1)])
        var holders: [Int: Int] = [:]
        for item in planned.items {
            for (unit, part) in item {
                #expect((unit.division != nil) == (part != unit.spans))
                if let division = unit.division { holders[division, default: 0] += 1 }
            }
        }
        #expect(holders.count >= 3)
        // Again for the next layer.
        for _ in 0..<2 {
            for (division, count) in holders {
                for ended in 1...count { #expect(planned.plan.items.endShare(division) == (ended == count)) }
            }
        }
    }

    @Test(
        arguments: [
            [(30_000, 1)], [(30_000, 1)] + (0..<31).map { _ in (60, 1) }, [(3_000, 128)],
            (0..<32).map { _ in (300, 1) },
        ] as [[(start: Int, tokens: Int)]])
    func noItemCostsMuchMoreThanItsShare(_ sequences: [(start: Int, tokens: Int)]) throws {
        let planned = try Planned(sequences)
        let costs = planned.items.map(planned.cost)
        #expect(costs.max()! * 4 * Self.threads <= costs.reduce(0, +) * 5 / 4)
    }
}
