// Which requests run in a step: prefill first, never mixed, in order of arrival, nothing waits for ever.

import Platform
import Sampling
import Testing

@testable import Engine

@Suite struct SchedulerTests {
    @Test func prefillsBeforeItDecodes() throws {
        let fixture = EngineFixture(.small(slots: 2))
        let first = try fixture.add(3, maxTokens: 3)
        #expect(try fixture.step()?.kind == .prefill)
        let second = try fixture.add(3, maxTokens: 3)
        let report = try fixture.step()
        #expect(report?.kind == .prefill)
        #expect(report?.tokenIDs == [second])
        #expect(try fixture.step()?.tokenIDs == [first, second])
    }

    @Test func aFinishedRowsSlotIsFilledInTheNextStep() throws {
        let fixture = EngineFixture(.small(slots: 2))
        let short = try fixture.add(3, maxTokens: 2)
        let long = try fixture.add(3, maxTokens: 5)
        let next = try fixture.add(3, maxTokens: 5)
        #expect(try fixture.step()?.tokenIDs == [short, long])
        #expect(fixture.engine.runningCount == 2)
        #expect(try fixture.step()?.endings == [Ending(short, .length)])
        let report = try fixture.step()
        #expect(report?.kind == .prefill)
        #expect(report?.tokenIDs == [next])
        #expect(fixture.executor.steps.last?.leaving == [short])
        #expect(try fixture.step()?.tokenIDs == [long, next])
    }

    /// On a device with one set of parameters for a step, those that differ wait, and are not overtaken for ever.
    @Test func rowsOfOneStepAreSampledAlikeWhereTheDeviceWantsIt() throws {
        var limits = StepLimits.small(slots: 2)
        limits.mixesSampling = false
        let fixture = EngineFixture(limits)
        func add(_ temperature: Float) throws -> RequestID {
            try fixture.add(
                prompt: [5, 6],
                sampling: SamplingParams(token: TTSamplingParams(temperature: temperature, seed: 1), maxTokens: 2))
        }
        let warm = try [add(0.5), add(0.5)]
        let cold = try add(0)
        let more = try (0..<6).map { _ in try add(0.5) }
        var order: [RequestID] = []
        while let report = try fixture.step() {
            if report.kind == .prefill { order += report.tokenIDs }
            let running = fixture.engine.runningRequests
            #expect(!running.contains(cold) || running == [cold])
        }
        #expect(Set(order) == Set(warm + [cold] + more))
        // A device batch of two may overtake it, and what was admitted beside them.
        #expect(try #require(order.firstIndex(of: cold)) <= 4)
    }

    @Test func aPrefillStepKeepsToTheTokenBudget() throws {
        let fixture = EngineFixture(.small(slots: 4, maxModelLen: 16, batchedTokens: 20))
        let ids = try [9, 9, 2].map { try fixture.add($0, maxTokens: 3) }
        #expect(try fixture.step()?.tokenIDs == [ids[0], ids[1], ids[2]])
        let more = try [9, 12, 9].map { try fixture.add($0, maxTokens: 1) }
        #expect(try fixture.step()?.tokenIDs == [more[0]])
        #expect(try fixture.step()?.tokenIDs == [more[1]])
        #expect(try fixture.step()?.tokenIDs == [more[2]])
    }

    @Test func aSmallerPromptPassesOneThatDoesNotFit() throws {
        let fixture = EngineFixture(.small(slots: 4, blocks: 8))
        let running = try fixture.add(15, maxTokens: 3)
        let large = try fixture.add(20, maxTokens: 2)
        let small = try fixture.add(4, maxTokens: 2)
        #expect(try fixture.step()?.tokenIDs == [running, small])
        let order = try fixture.drain().flatMap(\.endings)
        #expect(order == [small, running, large].map { Ending($0, .length) })
    }

    @Test func theWatermarkStaysFreeWhileAnythingRuns() throws {
        let fixture = EngineFixture(.small(slots: 4, maxModelLen: 400, blocks: 100))
        let large = try fixture.add(97 * 4, maxTokens: 2)
        let filling = try fixture.add(12, maxTokens: 1)
        let fitting = try fixture.add(8, maxTokens: 1)
        // 3 blocks are free and one is to stay free: the first of the two small ones would take it.
        #expect(try fixture.step()?.tokenIDs == [large, fitting])
        #expect(try fixture.step()?.tokenIDs == [large])
        #expect(try fixture.step()?.tokenIDs == [filling])
    }

    @Test(arguments: [395, 396, 399])
    func aPromptThatNeedsAlmostAllBlocksRunsWhenNothingElseDoes(length: Int) throws {
        let fixture = EngineFixture(.small(slots: 4, maxModelLen: 1000, blocks: 100))
        let small = try fixture.add(4, maxTokens: 2)
        let large = try fixture.add(length, maxTokens: 1)
        let reports = try fixture.drain()
        #expect(reports.map(\.tokenIDs) == [[small], [small], [large]])
    }

    @Test func aWaitingRequestIsOvertakenABoundedNumberOfTimes() throws {
        let slots = 4
        let fixture = EngineFixture(.small(slots: slots, blocks: 16))
        _ = try fixture.add(20, maxTokens: 40)
        let large = try fixture.add(52, maxTokens: 1)
        var admittedBefore = 0
        // An endless stream of small requests, any of which would fit.
        while true {
            while fixture.engine.waitingCount < 6 { _ = try fixture.add(4, maxTokens: 2) }
            let report = try #require(try fixture.step())
            if report.tokenIDs.contains(large) { break }
            if report.kind == .prefill { admittedBefore += report.tokenIDs.filter { $0.number > large.number }.count }
            try #require(fixture.executor.steps.count < 200)
        }
        #expect(admittedBefore == slots)
    }

    @Test func requestsThatEndWithTheirFirstTokenDoNotStarveTheOthers() throws {
        let slots = 3
        let fixture = EngineFixture(.small(slots: slots))
        let long = try fixture.add(3, maxTokens: 5)
        var reports: [StepReport] = []
        while reports.last?.endings.contains(Ending(long, .length)) != true {
            while fixture.engine.waitingCount < 6 { _ = try fixture.add(3, maxTokens: 1) }
            reports.append(try #require(try fixture.step()))
            try #require(reports.count < 100)
        }
        let streaks = reports.split { $0.kind == .decode }.map(\.count)
        #expect(streaks == Array(repeating: slots, count: 4))
    }

    @Test func cancelledRequestsFreeSlotAndBlocksForTheNextStep() throws {
        let fixture = EngineFixture(.small(slots: 1))
        let running = try fixture.add(3, maxTokens: 9)
        let waiting = try fixture.add(3, maxTokens: 9)
        let last = try fixture.add(3, maxTokens: 1)
        _ = try fixture.step()
        #expect(fixture.engine.cancel(running))
        #expect(fixture.engine.cancel(waiting))
        #expect(!fixture.engine.cancel(running))
        #expect(fixture.engine.statistics.kvBlocksUsed == 0)
        #expect(try fixture.step()?.tokenIDs == [last])
        #expect(fixture.executor.steps.last?.leaving == [running])
        #expect(!fixture.engine.hasWork)
        #expect(try fixture.step() == nil)
    }
}
