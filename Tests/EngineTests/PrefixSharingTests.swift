// Prompts that begin alike: what is computed once, what waits for it, and what may not change by it.

import Platform
import Testing

@testable import Engine

@Suite struct PrefixSharingTests {
    /// Adds a request whose prompt is `beginning` and then `tail`.
    private func add(
        _ beginning: Range<Int32>, _ tail: [Int32] = [], maxTokens: Int = 1, to fixture: EngineFixture
    ) throws -> RequestID {
        try fixture.add(prompt: beginning + tail, sampling: .ending(after: maxTokens, ignoreEOS: true))
    }

    /// Tokens that each row of the steps' prefills did not have to compute.
    private func computed(_ fixture: EngineFixture) -> [[Int]] {
        fixture.executor.prefills.compactMap { $0?.map(\.computedTokens) }
    }

    private func withoutCachedTokens(_ report: StepReport) -> StepReport {
        var report = report
        for index in report.updates.indices { report.updates[index].cachedTokens = 0 }
        return report
    }

    @Test func aCommonBeginningIsComputedOnce() throws {
        let fixture = EngineFixture(.small(slots: 8, sharesPrefixes: true))
        let ids = try (0..<6).map { try add(1..<13, [20 + $0, 30], maxTokens: 2, to: fixture) }
        #expect(try fixture.step()?.tokenIDs == [ids[0]])
        let report = try #require(try fixture.step())
        #expect(report.tokenIDs == Array(ids[1...]))
        #expect(report.updates.map(\.cachedTokens) == [12, 12, 12, 12, 12])
        #expect(computed(fixture) == [[0], [12, 12, 12, 12, 12]])
        let statistics = fixture.engine.statistics
        #expect(statistics.prefilledTokens == 14 + 5 * 2 && statistics.cachedTokens == 5 * 12)
        #expect(statistics.kvBlocksUsed == 3 + 6)
        _ = try fixture.drain()
        #expect(fixture.engine.statistics.kvBlocksUsed == 0)
    }

    @Test func nothingIsSharedWhereItIsSwitchedOff() throws {
        let fixture = EngineFixture(.small(slots: 8))
        let ids = try (0..<3).map { try add(1..<13, [20 + $0], to: fixture) }
        #expect(try fixture.step()?.tokenIDs == ids)
        _ = try add(1..<13, to: fixture)
        _ = try fixture.drain()
        #expect(computed(fixture) == [[0, 0, 0], [0]])
        #expect(fixture.engine.statistics.cachedTokens == 0)
    }

    /// A device that begins at multiples of two blocks shares whole ones down to there, and copies nothing.
    @Test func anAlignedDeviceSharesWhereItCanBegin() throws {
        var limits = StepLimits.small(slots: 8)
        limits.prefixSharing = .aligned(try #require(PrefillAlignment(steps: [.init(length: 64, multiple: 8)])))
        let fixture = EngineFixture(limits)
        for tail: Int32 in [30, 31] {
            _ = try add(1..<16, [tail], to: fixture)
            _ = try fixture.drain()
        }
        _ = try add(1..<20, [32], to: fixture)
        _ = try fixture.drain()
        _ = try add(1..<8, [33], to: fixture)
        _ = try fixture.drain()
        // Of 15 tokens alike, three blocks of 4 are; of those two begin where the device can.
        #expect(computed(fixture) == [[0], [8], [8], [0]])
        #expect(fixture.executor.prefills.allSatisfy { $0?.allSatisfy { $0.copiedBlocks.isEmpty } != false })
    }

    /// Rows that pad to the same length leave the budget of a step sooner than their own tokens would.
    @Test func paddedTokensCountInABudget() throws {
        var limits = StepLimits.small(slots: 8, maxModelLen: 256, batchedTokens: 1024 + 128, blocks: 256)
        limits.prefillPadding = .rest
        let fixture = EngineFixture(limits)
        let ids = try [9, 130, 9, 140].map { try fixture.add($0, maxTokens: 1) }
        #expect(try fixture.step()?.tokenIDs == [ids[0], ids[1]])
        #expect(try fixture.step()?.tokenIDs == [ids[2], ids[3]])
    }

    @Test(arguments: [(7, 4), (8, 7), (9, 8)])
    func theLastTokenIsAlwaysComputed(length: Int32, shared: Int) throws {
        let fixture = EngineFixture(.small(sharesPrefixes: true))
        for _ in 0..<2 {
            _ = try add(1..<length + 1, to: fixture)
            _ = try fixture.drain()
        }
        #expect(computed(fixture) == [[0], [shared]])
    }

    @Test func aBeginningWithinABlockIsCopied() throws {
        let fixture = EngineFixture(.small(slots: 8, sharesPrefixes: true))
        _ = try add(1..<13, maxTokens: 2, to: fixture)
        _ = try fixture.drain()
        // Of the first prompt's blocks of 4: three tokens of the third, two of the second, three of the first.
        let ids = try [
            add(1..<12, [30], to: fixture), add(1..<7, [31], to: fixture), add(1..<4, [32, 33], to: fixture),
        ]
        let report = try #require(try fixture.step())
        #expect(report.tokenIDs == ids)
        #expect(report.updates.map(\.cachedTokens) == [11, 6, 3])
        #expect(fixture.executor.prefills.last??.map { $0.copiedBlocks.isEmpty } == [false, false, false])
        #expect(computed(fixture) == [[0], [11, 6, 3]])
        try fixture.engine.checkIntegrity()
        // What follows within a block is compared to its end.
        _ = try fixture.drain()
        _ = try add(1..<7, [31, 40], to: fixture)
        _ = try fixture.drain()
        #expect(computed(fixture).last == [6])
    }

    @Test func whatIsCopiedMayBeGivenOutInTheSameStep() throws {
        let prompt: [Int32] = [1, 2, 3, 20, 21, 22]
        let fixtures = [true, false].map { sharing in
            EngineFixture(.small(slots: 2, maxModelLen: 8, blocks: 2, sharesPrefixes: sharing)) {
                Int32($0.reduce(0) { 3 * $0 + Int($1) } % 89)
            }
        }
        let reports = try fixtures.map { fixture in
            _ = try add(1..<6, to: fixture)
            _ = try fixture.drain()
            _ = try fixture.add(prompt: prompt, sampling: .ending(after: 2, ignoreEOS: true))
            return try fixture.drain()
        }
        // But for what was found in the cache, the steps did the same.
        #expect(reports[0].flatMap(\.updates).map(\.cachedTokens) == [3, 0])
        #expect(reports.map { $0.map(withoutCachedTokens) }[0] == reports[1])
        let prefills = fixtures[0].executor.prefills.compactMap { $0 }
        let row = try #require(prefills.last?.first)
        // Both blocks are its own, the one it copies too.
        #expect(row.computedTokens == 3 && row.blocks[0].dropFirst().first == row.copiedBlocks.first)
    }

    @Test func whatWasGeneratedIsSharedToo() throws {
        let fixture = EngineFixture(.small(sharesPrefixes: true)) { Int32($0.count) }
        // 6 prompt tokens and 7 generated ones, of which the last never went into the cache.
        _ = try add(50..<56, maxTokens: 7, to: fixture)
        _ = try fixture.drain()
        _ = try add(50..<56, Array(6..<13) + [90], to: fixture)
        _ = try fixture.drain()
        #expect(computed(fixture) == [[0], [12]])
    }

    @Test func promptsThatBeginOtherwiseDoNotWait() throws {
        let fixture = EngineFixture(.small(slots: 4, sharesPrefixes: true))
        let first = try add(1..<9, [20], to: fixture)
        let alike = try add(1..<9, [21], to: fixture)
        let short = try add(1..<4, to: fixture)
        let other = try add(31..<40, to: fixture)
        #expect(try fixture.step()?.tokenIDs == [first, short, other])
        #expect(try fixture.step()?.tokenIDs == [alike])
        #expect(computed(fixture) == [[0, 0, 0], [8]])
    }

    @Test func theBudgetCountsOnlyWhatIsComputed() throws {
        let limits = StepLimits.small(slots: 8, maxModelLen: 16, batchedTokens: 16, sharesPrefixes: true)
        let fixture = EngineFixture(limits)
        for number in 0..<8 as Range<Int32> { _ = try add(1..<13, [20 + number, 30], to: fixture) }
        _ = try fixture.drain()
        #expect(computed(fixture) == [[0], Array(repeating: 12, count: 7)])
    }

    @Test func keptBlocksGiveWayToThoseWhoNeedThem() throws {
        let fixture = EngineFixture(.small(blocks: 8, sharesPrefixes: true))
        _ = try add(1..<20, to: fixture)
        _ = try fixture.drain()
        // All but one block: what was kept longest, the end of the first prompt, goes first.
        _ = try add(40..<68, maxTokens: 2, to: fixture)
        _ = try fixture.drain()
        #expect(fixture.engine.statistics.preemptions == 0)
        _ = try add(1..<20, to: fixture)
        _ = try fixture.drain()
        #expect(computed(fixture) == [[0], [0], [0]])
        #expect(fixture.engine.statistics.kvBlocksUsed == 0)
    }

    @Test func aPreemptedRequestFindsWhatIsLeftOfItsBlocks() throws {
        let fixture = EngineFixture(.small(slots: 2, blocks: 6, sharesPrefixes: true)) { Int32($0.count) }
        _ = try add(60..<71, maxTokens: 3, to: fixture)
        let new = try add(80..<87, maxTokens: 10, to: fixture)
        let reports = try fixture.drain()
        #expect(reports.flatMap(\.preempted) == [new])
        let again = try #require(fixture.executor.prefills.compactMap { $0 }.last?.first)
        #expect(again.id == new && again.computedTokens == 8)
        #expect(fixture.engine.statistics.recomputedTokens == again.tokens.count - 8)
        #expect(reports.flatMap { $0.tokens(of: new) } == Array(7..<17))
    }

    @Test func whoWaitsForABlockIsNotStarved() throws {
        let slots = 4
        let fixture = EngineFixture(.small(slots: slots, blocks: 256, sharesPrefixes: true))
        // Each begins like the one before and goes a block further: every one waits for the one before it.
        let chain = try (1...8).map { try add(0..<Int32(4 * $0 + 1), maxTokens: 2, to: fixture) }
        var newer: [RequestID] = []
        var admitted: [RequestID] = []
        while !admitted.contains(chain[7]) {
            while fixture.engine.waitingCount < 20 {
                newer.append(try add(50..<57, [Int32(newer.count % 40)], maxTokens: 2, to: fixture))
            }
            let report = try #require(try fixture.step())
            if report.kind == .prefill { admitted += report.tokenIDs }
            try #require(fixture.executor.steps.count < 100)
        }
        #expect(admitted.filter { $0.number <= chain[7].number } == chain)
        #expect(admitted.filter { $0.number > chain[7].number }.count <= slots)
        let computed = fixture.executor.prefills.compactMap { $0 }.joined().filter { chain.contains($0.id) }
        #expect(computed.map(\.computedTokens) == (0..<8).map { 4 * $0 })
    }

    @Test func aFailedStepLeavesNothingToShare() throws {
        let fixture = EngineFixture(.small(sharesPrefixes: true))
        _ = try add(1..<13, to: fixture)
        fixture.executor.failsNext = true
        #expect(throws: DeviceFault.self) { try fixture.engine.step() }
        #expect(fixture.engine.takeBackAll().count == 1)
        try fixture.engine.checkIntegrity()
        #expect(fixture.engine.statistics.cachedTokens == 0)
    }
}
