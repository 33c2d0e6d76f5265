// Online requests in an engine that runs batches: their slots, their blocks, and how long they wait.

import Platform
import Sampling
import Testing

@testable import Engine

@Suite struct ShareTests {
    private static let share = OnlineShare(slots: 1, prefillTokens: 8)

    private func fixture(
        slots: Int = 3, blocks: Int = 64, sharesPrefixes: Bool = true, runsStepsAsync: Bool = false
    ) -> EngineFixture {
        EngineFixture(
            .small(slots: slots, blocks: blocks, sharesPrefixes: sharesPrefixes), share: Self.share,
            runsStepsAsync: runsStepsAsync)
    }

    /// A prompt that no other shares tokens with.
    private func prompt(_ length: Int, _ number: Int32) -> [Int32] { [Int32](repeating: number, count: length) }

    @Test func eachKindHasItsSlots() throws {
        let fixture = fixture()
        let batch = try (0..<4).map { _ in try fixture.add(3, maxTokens: 20) }
        try fixture.step()
        #expect(fixture.engine.runningRequests == Array(batch[..<2]))
        let online = try (0..<2).map { _ in try fixture.add(3, maxTokens: 3, priority: .online) }
        let report = try fixture.step()
        #expect(report?.kind == .prefill && report?.tokenIDs == [online[0]])
        // The other one waits for the slot of online requests, and comes before those of batches.
        var order: [RequestID] = []
        while let report = try fixture.step() { order += report.endings.map(\.id) }
        #expect(order == [online[0], online[1]] + batch)
    }

    @Test func anOnlineRequestTakesTheBlocksOfTheNewestOfABatch() throws {
        let fixture = fixture(blocks: 9, sharesPrefixes: false)
        let batch = try [fixture.add(14, maxTokens: 12), fixture.add(14, maxTokens: 12)]
        for _ in batch { #expect(try fixture.step()?.kind == .prefill) }
        let online = try fixture.add(12, maxTokens: 2, priority: .online)
        let report = try fixture.step()
        #expect(report?.tokenIDs == [online] && report?.preempted == [batch[1]])
        #expect(fixture.engine.runningRequests == [online, batch[0]])
        let reports = try fixture.drain()
        // What was preempted goes on, and nothing is lost.
        let tokens = batch.map { id in reports.reduce(0) { $0 + $1.tokens(of: id).count } }
        #expect(tokens == [11, 11])
    }

    /// An online request waits for one step of at most a piece, however many prompts of batches could begin.
    @Test func shortPromptsComeInStepsOfAPiece() throws {
        let fixture = fixture(slots: 9)
        let batch = try (0..<8).map { try fixture.add(prompt: prompt(3, $0 + 4), sampling: .ending(after: 9)) }
        #expect(try fixture.step()?.tokenIDs == Array(batch[..<2]))
        let online = try fixture.add(prompt: prompt(30, 20), sampling: .ending(after: 4), priority: .online)
        #expect(try fixture.step()?.tokenIDs == [online])
        // While it runs, all decode between two such steps.
        #expect(try fixture.step()?.kind == .decode)
        #expect(try fixture.step()?.tokenIDs == Array(batch[2..<4]))
        #expect(try fixture.step()?.kind == .decode)
        #expect(try fixture.step()?.tokenIDs == Array(batch[4..<6]))
        #expect(try fixture.step()?.endings.map(\.id) == [online])
        // When nobody waits online, the slots are filled first.
        #expect(try fixture.step()?.tokenIDs == Array(batch[6...]))
        _ = try fixture.drain()
    }

    /// Between the pieces of a long prompt of a batch, the others decode, and online requests begin.
    @Test(arguments: [false, true])
    func aLongPromptDoesNotKeepAnybodyWaiting(runsStepsAsync: Bool) throws {
        let fixture = fixture(runsStepsAsync: runsStepsAsync)
        let short = try fixture.add(prompt: prompt(3, 4), sampling: .ending(after: 30))
        try fixture.step()
        let long = try fixture.add(prompt: prompt(30, 5), sampling: .ending(after: 2))
        let other = try fixture.add(prompt: prompt(3, 6), sampling: .ending(after: 1))
        var online: RequestID?
        var kinds: [StepReport.Kind] = []
        var waited = 0
        while let report = try fixture.step() {
            kinds.append(report.kind)
            if kinds.count == 3 {
                online = try fixture.add(prompt: prompt(30, 7), sampling: .ending(after: 1), priority: .online)
            } else if let online, !report.tokenIDs.contains(online), kinds.count > 3, waited < 10 {
                waited += 1
            } else if online != nil, report.tokenIDs.contains(online!) {
                #expect(waited <= 2, "\(kinds)")
                online = nil
                waited = 10
            }
        }
        let prefilled = fixture.executor.steps.compactMap { step -> [PrefillRow]? in
            if case .prefill(let rows) = step.work { rows } else { nil }
        }
        let pieces = prefilled.flatMap(\.self).filter { $0.id == long }
        #expect(pieces.map(\.computedTokens) == [0, 8, 16, 24] && pieces.map(\.tokens.count) == [8, 16, 24, 30])
        #expect(prefilled.flatMap(\.self).filter { $0.id != long }.allSatisfy { $0.computedTokens == 0 })
        // Nobody else of a batch begins before its end.
        let order = prefilled.flatMap { $0.map(\.id) }
        #expect(order.firstIndex(of: other)! > order.lastIndex(of: long)!)
        #expect(kinds.contains(.decode) && waited == 10)
        _ = short
    }

    /// What was cached before the first piece is counted once.
    @Test func cachedTokensOfAPromptInPieces() throws {
        let fixture = fixture()
        let first = try fixture.add(prompt: prompt(16, 4), sampling: .ending(after: 1))
        while try fixture.step() != nil {}
        let before = fixture.engine.statistics
        let long = try fixture.add(prompt: prompt(16, 4) + prompt(20, 5), sampling: .ending(after: 1))
        var updates: [RequestUpdate] = []
        while let report = try fixture.step() { updates += report.updates }
        #expect(updates.map(\.id) == [long] && updates[0].cachedTokens == 16)
        let after = fixture.engine.statistics
        #expect(after.cachedTokens - before.cachedTokens == 16)
        #expect(after.prefilledTokens - before.prefilledTokens == 20)
        #expect(first != long)
    }

    @Test func aPromptInPiecesCanBeCancelled() throws {
        let fixture = fixture()
        let long = try fixture.add(30, maxTokens: 2)
        try fixture.step()
        #expect(fixture.engine.cancel(long))
        let next = try fixture.add(prompt: prompt(20, 6), sampling: .ending(after: 1))
        #expect(try fixture.drain().flatMap(\.endings) == [Ending(next, .length)])
        #expect(fixture.engine.statistics.kvBlocksUsed == 0)
    }
}
