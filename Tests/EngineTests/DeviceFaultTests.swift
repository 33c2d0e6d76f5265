// A failed device: the requests come back, and nothing of it is trusted any more.

import Platform
import Testing

@testable import Engine

@Suite struct DeviceFaultTests {
    @Test func afterAFaultEveryRequestIsGivenBackAndThePoolIsFree() throws {
        let fixture = EngineFixture(.small(slots: 2))
        let ids = try (0..<3).map { _ in try fixture.add(3, maxTokens: 9) }
        _ = try fixture.step()
        fixture.executor.failsNext = true
        let fault = DeviceFault(operation: "scripted step", reason: "asked for")
        #expect(throws: fault) { try fixture.engine.step() }
        #expect(fixture.engine.takeBackAll() == ids)
        #expect(!fixture.engine.hasWork)
        #expect(fixture.engine.statistics.kvBlocksUsed == 0)
        try fixture.engine.checkIntegrity()
        #expect(fixture.engine.takeBackAll() == [])
    }

    @Test func aFaultedEngineDoesNotTouchItsDeviceAgain() throws {
        let fixture = EngineFixture(.small())
        _ = try fixture.add(3, maxTokens: 9)
        fixture.executor.failsNext = true
        #expect(throws: DeviceFault.self) { try fixture.engine.step() }
        fixture.executor.failsNext = false
        #expect(throws: DeviceFault.self) { try fixture.engine.step() }
        #expect(fixture.executor.steps.count == 1)
    }

    @Test func anEngineWithoutFaultGoesOnAfterGivingEverythingBack() throws {
        let fixture = EngineFixture(.small())
        let given = try fixture.add(3, maxTokens: 9)
        _ = try fixture.step()
        #expect(fixture.engine.takeBackAll() == [given])
        let next = try fixture.add(3, maxTokens: 1)
        #expect(try fixture.step()?.tokenIDs == [next])
        #expect(fixture.executor.steps.last?.leaving == [given])
    }

    @Test func aRequestWithBadOutputLeavesAndItsBlocksAreSharedByNobody() throws {
        let fixture = EngineFixture(.small(blockSize: 2, sharesPrefixes: true))
        let good = try fixture.add(5, maxTokens: 4)
        let bad = try fixture.add(9, maxTokens: 4)
        _ = try fixture.step()
        let before = fixture.engine.statistics.cachedTokens
        fixture.executor.badOutputs = [bad]
        let reports = try fixture.drain()
        let badUpdate = RequestUpdate(id: bad, cachedTokens: 4, output: .bad(BadOutput("asked for")))
        #expect(reports.flatMap(\.updates).filter { $0.id == bad } == [badUpdate])
        #expect(reports.flatMap(\.endings) == [Ending(good, .length)])
        #expect(!fixture.engine.cancel(bad))
        #expect(fixture.engine.statistics.kvBlocksUsed == 0)
        // The same prompt again finds what the good one left, and nothing of the bad one.
        _ = try fixture.add(9, maxTokens: 1)
        _ = try fixture.step()
        #expect(fixture.engine.statistics.cachedTokens - before <= 4)
    }
}
