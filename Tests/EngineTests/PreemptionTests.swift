// When blocks run out: who loses them, and how it comes back.

import Platform
import Testing

@testable import Engine

@Suite struct PreemptionTests {
    /// Two requests that fill six blocks of four tokens, and outgrow them at the same time.
    private func crowded() throws -> (fixture: EngineFixture, old: RequestID, new: RequestID) {
        let fixture = EngineFixture(.small(slots: 2, blocks: 6)) { Int32($0.count) }
        let old = try fixture.add(11, maxTokens: 10)
        let new = try fixture.add(7, maxTokens: 10)
        return (fixture, old, new)
    }

    @Test func theNewestIsPreemptedAndTheOldestAlwaysAdvances() throws {
        let (fixture, old, new) = try crowded()
        let reports = try fixture.drain()
        #expect(reports.flatMap(\.preempted) == [new])
        #expect(fixture.engine.statistics.preemptions == 1)
        let untilOldEnds = reports.prefix { !$0.endings.contains(Ending(old, .length)) }
        #expect(untilOldEnds.allSatisfy { $0.kind == .prefill || $0.tokenIDs.contains(old) })
        #expect(reports.flatMap(\.endings) == [Ending(old, .length), Ending(new, .length)])
    }

    @Test func aPreemptedRequestIsPrefilledAgainWithEverythingItHas() throws {
        let (fixture, _, new) = try crowded()
        let reports = try fixture.drain()
        let preemption = try #require(reports.firstIndex { $0.preempted == [new] })
        let generated = reports[..<preemption].filter { $0.tokenIDs.contains(new) }.count
        let again = try #require(fixture.executor.prefills[preemption...].compactMap { $0 }.first?.first)
        #expect(again.id == new)
        #expect(again.promptLength == 7)
        #expect(again.tokens == Array(repeating: 5, count: 7) + (7..<Int32(7 + generated)))
        #expect(again.computedTokens == 0)
        #expect(again.blocks[0].count == (again.tokens.count + 3) / 4)
        #expect(fixture.engine.statistics.recomputedTokens == again.tokens.count)
        // The row left the batch in the step that preempted it.
        #expect(fixture.executor.steps[preemption].leaving == [new])
        // No token is lost or reported twice.
        #expect(reports.flatMap { $0.tokens(of: new) } == Array(7..<17))
    }

    @Test func aRequestCanPreemptItself() throws {
        // The older request takes the last block; the step after, the newer one is alone in needing another.
        let fixture = EngineFixture(.small(slots: 2, blocks: 6))
        let old = try fixture.add(12, maxTokens: 4)
        let new = try fixture.add(7, maxTokens: 9)
        #expect(try fixture.step()?.tokenIDs == [old, new])
        #expect(try fixture.step()?.tokenIDs == [old, new])
        let report = try fixture.step()
        #expect(report?.preempted == [new])
        #expect(report?.tokenIDs == [old])
        #expect(try fixture.drain().flatMap(\.tokenIDs).filter { $0 == new }.count == 7)
    }

    @Test func theRecomputedPrefillMayBeAsLongAsTheModelAllows() throws {
        // The newest has 31 of 32 tokens when the oldest needs a block and none is left.
        let fixture = EngineFixture(.small(slots: 3, maxModelLen: 32, batchedTokens: 32, blocks: 13))
        _ = try fixture.add(11, maxTokens: 20)
        _ = try fixture.add(4, maxTokens: 20)
        let new = try fixture.add(29, maxTokens: 9)
        let reports = try fixture.drain()
        #expect(reports.flatMap(\.preempted).contains(new))
        let longest = fixture.executor.prefills.compactMap { $0 }.joined().map(\.tokens.count).max()
        #expect(longest == 31)
        #expect(reports.flatMap(\.tokenIDs).filter { $0 == new }.count == 3)
    }

    @Test func aPreemptedRequestGoesBeforeThoseThatArrivedLater() throws {
        let fixture = EngineFixture(.small(slots: 2, blocks: 6)) { _ in 7 }
        let old = try fixture.add(11, maxTokens: 8)
        let new = try fixture.add(7, maxTokens: 8)
        let later = try fixture.add(11, maxTokens: 1)
        let reports = try fixture.drain()
        #expect(reports.flatMap(\.preempted) == [new])
        let prefills = fixture.executor.prefills.compactMap { $0?.map(\.id) }
        #expect(prefills.flatMap { $0 } == [old, new, new, later])
    }
}
