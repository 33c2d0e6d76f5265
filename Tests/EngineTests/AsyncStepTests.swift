// Executors whose steps go on by themselves: the next step is begun before the report of the last one is dealt with.

import Platform
import Testing

@testable import Engine

@Suite struct AsyncStepTests {
    @Test(arguments: [false, true])
    func theNextStepIsUnderWayWhenAReportComes(runsStepsAsync: Bool) throws {
        let fixture = EngineFixture(.small(), runsStepsAsync: runsStepsAsync)
        let id = try fixture.add(3, maxTokens: 3)
        for step in 1...3 {
            #expect(try fixture.step()?.tokenIDs == [id])
            #expect(fixture.executor.steps.count == (runsStepsAsync ? min(step + 1, 3) : step))
            #expect(fixture.engine.hasBegun == (runsStepsAsync && step < 3))
        }
        #expect(try fixture.step() == nil)
        #expect(!fixture.engine.hasWork)
    }

    @Test func whatIsAddedMeanwhileJoinsTheStepAfter() throws {
        let fixture = EngineFixture(.small(), runsStepsAsync: true)
        let first = try fixture.add(3, maxTokens: 9)
        _ = try fixture.step()
        let second = try fixture.add(3, maxTokens: 9)
        #expect(try fixture.step()?.tokenIDs == [first])
        #expect(try fixture.step()?.tokenIDs == [second])
        #expect(try fixture.step()?.tokenIDs == [first, second])
    }

    @Test func aRequestThatIsCancelledMeanwhileGetsNoUpdate() throws {
        let fixture = EngineFixture(.small(), runsStepsAsync: true)
        let first = try fixture.add(3, maxTokens: 9)
        let second = try fixture.add(3, maxTokens: 9)
        _ = try fixture.step()
        #expect(fixture.engine.cancel(first))
        #expect(
            try fixture.step() == StepReport(kind: .decode, updates: [RequestUpdate(id: second, output: .token(7))]))
        #expect(fixture.executor.steps.last?.leaving == [first])
        #expect(fixture.engine.statistics.generatedTokens == 3)
        #expect(fixture.engine.cancel(second))
        // The step that was under way for it is still ended.
        #expect(fixture.engine.hasWork)
        #expect(try fixture.step() == StepReport(kind: .decode))
        #expect(!fixture.engine.hasWork)
        #expect(fixture.engine.statistics.kvBlocksUsed == 0)
    }

    @Test func aPrefillThatIsCancelledMeanwhileTellsOfNoCachedTokens() throws {
        let fixture = EngineFixture(.small(slots: 2, sharesPrefixes: true), runsStepsAsync: true)
        _ = try fixture.add(9, maxTokens: 9)
        let alike = try fixture.add(9, maxTokens: 9)
        _ = try fixture.step()
        #expect(fixture.executor.prefills.compactMap { $0?.map(\.id) }.last == [alike])
        #expect(fixture.engine.cancel(alike))
        #expect(try fixture.step() == StepReport(kind: .prefill))
    }

    @Test func aFaultOfTheNextStepComesAfterTheReport() throws {
        let fixture = EngineFixture(.small(), runsStepsAsync: true)
        let id = try fixture.add(3, maxTokens: 9)
        _ = try fixture.step()
        fixture.executor.failsNext = true
        #expect(try fixture.step()?.tokenIDs == [id])
        #expect(throws: DeviceFault.self) { try fixture.engine.step() }
        #expect(fixture.engine.runningRequests == [id])
        #expect(fixture.engine.takeBackAll() == [id])
    }

    @Test func theDeviceIsAtRestWhenAllIsTakenBack() throws {
        let fixture = EngineFixture(.small(), runsStepsAsync: true)
        let id = try fixture.add(3, maxTokens: 9)
        _ = try fixture.step()
        #expect(fixture.engine.hasBegun)
        #expect(fixture.engine.takeBackAll() == [id])
        #expect(!fixture.engine.hasBegun && !fixture.engine.hasWork)
        // The executor takes another step only when the last one was ended.
        let next = try fixture.add(3, maxTokens: 1)
        #expect(try fixture.step()?.tokenIDs == [next])
    }
}
