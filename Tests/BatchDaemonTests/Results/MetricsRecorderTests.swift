// Intervals of metrics from the engine's running counters.

import Platform
import Runtime
import StoreContract
import Testing

@testable import BatchDaemon
@testable import Engine
@testable import Serving

@Suite struct MetricsRecorderTests {
    private func step(prefilled: Int, generated: Int, steps: Int, blocks: Int) -> EngineStep {
        var statistics = EngineStatistics(slots: 8, kvBlocksTotal: 100)
        statistics.prefilledTokens = prefilled
        statistics.generatedTokens = generated
        statistics.cachedTokens = 2 * prefilled
        statistics.prefillSteps = 1
        statistics.decodeSteps = steps
        statistics.decodedRows = steps * 3
        statistics.kvBlocksUsed = blocks
        return EngineStep(report: StepReport(kind: .decode), started: 0, ended: 1, statistics: statistics)
    }

    private let ticket = ClaimTicket(job: JobID(rawValue: 1), batch: BatchID(rawValue: 1), attempt: 1)

    @Test func intervalsHaveTheDifferenceOfTheCounters() throws {
        var recorder = MetricsRecorder(incarnation: Incarnation(rawValue: 3), start: 100)
        #expect(recorder.isIdle)
        recorder.count(step(prefilled: 10, generated: 1, steps: 0, blocks: 4), of: .only)
        recorder.count(step(prefilled: 10, generated: 5, steps: 2, blocks: 8), of: .only)
        let generation = Generation([Choice(text: "", finishReason: "stop")])
        recorder.count(finished: JobCompletion(ticket: ticket, outcome: .succeeded(generation)))
        let firstRow = recorder.close(at: 150, queueDepth: 7)
        let first = try #require(firstRow)
        #expect(first.incarnation.rawValue == 3 && first.start == 100 && first.end == 150)
        #expect(
            first.promptTokens == 10 && first.cachedTokens == 20 && first.generatedTokens == 5
                && first.prefillSteps == 1)
        #expect(first.decodeSteps == 2 && first.decodeRows == 6 && first.slots == 8)
        #expect(first.kvBlocksMean == 6 && first.kvBlocksMax == 8 && first.kvBlocksTotal == 100)
        #expect(first.queueDepth == 7 && first.jobsSucceeded == 1 && first.jobsFailed == 0)

        recorder.count(step(prefilled: 10, generated: 9, steps: 3, blocks: 2), of: .only)
        let failure = JobError(code: "", message: "", status: 400)
        recorder.count(finished: JobCompletion(ticket: ticket, outcome: .failed(failure)))
        let secondRow = recorder.close(at: 160, queueDepth: 0)
        let second = try #require(secondRow)
        #expect(
            second.start == 150 && second.promptTokens == 0 && second.cachedTokens == 0 && second.generatedTokens == 4)
        #expect(second.decodeSteps == 1 && second.kvBlocksMax == 2 && second.jobsFailed == 1)
    }

    @Test func anIntervalWithoutNewsIsNoRow() {
        var recorder = MetricsRecorder(incarnation: Incarnation(rawValue: 1), start: 100)
        let idle = recorder.close(at: 200, queueDepth: 0)
        #expect(idle == nil)
        recorder.count(step(prefilled: 1, generated: 1, steps: 0, blocks: 1), of: .only)
        let busy = recorder.close(at: 300, queueDepth: 0)
        #expect(busy?.start == 200)
        let idleAgain = recorder.close(at: 400, queueDepth: 0)
        #expect(idleAgain == nil)
    }

    @Test func aClockThatIsSetBackGivesAnEmptyIntervalAndThenTheNewTime() throws {
        var recorder = MetricsRecorder(incarnation: Incarnation(rawValue: 1), start: 100)
        recorder.count(step(prefilled: 1, generated: 1, steps: 0, blocks: 1), of: .only)
        let firstRow = recorder.close(at: 40, queueDepth: 0)
        let first = try #require(firstRow)
        #expect(first.start == 100 && first.end == 100)
        recorder.count(step(prefilled: 1, generated: 2, steps: 1, blocks: 1), of: .only)
        let secondRow = recorder.close(at: 50, queueDepth: 0)
        let second = try #require(secondRow)
        #expect(second.start == 40 && second.end == 50)
    }

    /// Counters are each engine's own; what is in use is what all have.
    @Test func replicasAreAddedUp() throws {
        let replicas = Replica.all(2)
        var recorder = MetricsRecorder(incarnation: Incarnation(rawValue: 3), start: 100)
        recorder.count(step(prefilled: 10, generated: 5, steps: 2, blocks: 4), of: replicas[0])
        recorder.count(step(prefilled: 30, generated: 7, steps: 3, blocks: 6), of: replicas[1])
        recorder.count(step(prefilled: 11, generated: 6, steps: 3, blocks: 2), of: replicas[0])
        let closed = recorder.close(at: 150, queueDepth: 0)
        let sum = try #require(closed)
        #expect(sum.promptTokens == 41 && sum.generatedTokens == 13)
        // Each decode step has the rows of one device batch.
        #expect(sum.decodeSteps == 6 && sum.decodeRows == 18 && sum.slots == 8)
        #expect(sum.kvBlocksTotal == 200 && sum.kvBlocksMax == 10)
        #expect(sum.kvBlocksMean == 22.0 / 3)
        // One that has nothing more to do keeps no blocks in the figures.
        recorder.count(step(prefilled: 31, generated: 8, steps: 4, blocks: 6), of: replicas[1])
        let last = recorder.close(at: 200, queueDepth: 0)
        #expect(last?.kvBlocksMean == 6 && last?.generatedTokens == 1)
    }
}
