// What is said of jobs in flight: tokens, batch slots, and a rate that is that of the last half minute.

import FakeModel
import Platform
import Runtime
import Sampling
import StoreContract
import Testing
import Tokenizers

@testable import BatchDaemon
@testable import Engine
@testable import Prompts
@testable import Serving

@Suite struct ProgressMeterTests {
    private let batch = BatchID(rawValue: 3)

    /// A job that has generated `tokens` of at most `most`.
    private func job(_ number: Int64, tokens: Int, most: Int = 100, of batch: BatchID? = nil) -> JobInProgress {
        let ticket = ClaimTicket(job: JobID(rawValue: number), batch: batch ?? self.batch, attempt: 1)
        let request = PreparedRequest(
            prompts: [[1]],
            sampling: SamplingParams(token: TTSamplingParams(temperature: 0), maxTokens: most))
        var progress = RequestInProgress(request, TinyModel.tokenizer)
        let step = EngineStep(
            report: StepReport(kind: .decode), started: 0, ended: 1,
            statistics: EngineStatistics(slots: 8, kvBlocksTotal: 100))
        let update = RequestUpdate(id: RequestID(Int(number)), output: .token(70))
        for _ in 0..<tokens { _ = progress.take(update, in: step) { _ in } }
        return JobInProgress(ticket: ticket, created: 0, progress: progress)
    }

    private func measure(
        _ meter: inout ProgressMeter, _ jobs: [JobInProgress], uncommitted: [JobCompletion] = [], at steady: Int64
    ) -> [BatchProgress] {
        meter.measure(jobs, uncommitted: uncommitted, steady: steady, now: 77)
    }

    @Test func jobsInSlotsAndThoseThatWait() {
        var meter = ProgressMeter()
        meter.noteBegin(batch, steady: 0)
        var preempted = job(3, tokens: 5)
        preempted.progress.notePreempted(RequestID(3))
        let ended = JobCompletion(
            ticket: ClaimTicket(job: JobID(rawValue: 9), batch: batch, attempt: 1),
            outcome: .succeeded(Generation([Choice(text: "", finishReason: "stop")])),
            usage: TokenUsage(completionTokens: 11))
        meter.noteEnd(batch, tokens: 11)
        let measured = measure(
            &meter, [job(1, tokens: 20), job(2, tokens: 30), preempted, job(4, tokens: 0)], uncommitted: [ended],
            at: 1000)
        #expect(
            measured == [
                BatchProgress(
                    batch: batch, updated: 77, unfinishedTokens: 66,
                    pace: .init(tokensPerSecond: 66, tokenMS: 1000.0 / 66, tokenMSGrowth: 0), running: 2,
                    runningTokens: 50, runningLimit: 200)
            ])
    }

    @Test func theRateCountsWhatHasEndedAndForgetsWhatIsLongAgo() {
        var meter = ProgressMeter()
        meter.noteBegin(batch, steady: 10_000)
        #expect(measure(&meter, [job(1, tokens: 3)], at: 10_400).first?.pace?.tokensPerSecond == nil, "too early")
        #expect(measure(&meter, [job(1, tokens: 40)], at: 14_000).first?.pace?.tokensPerSecond == 10)
        meter.noteEnd(batch, tokens: 60)
        #expect(measure(&meter, [job(2, tokens: 20)], at: 18_000).first?.pace?.tokensPerSecond == 10)
        // Nothing for half a minute.
        for second in 19...47 { _ = measure(&meter, [job(2, tokens: 20)], at: Int64(second) * 1000) }
        #expect(measure(&meter, [job(2, tokens: 20)], at: 48_000).first?.pace?.tokensPerSecond == 0)
        #expect(measure(&meter, [job(2, tokens: 50)], at: 49_000).first?.pace?.tokensPerSecond == 1)
    }

    /// A batch that has nothing in flight any more, and later has again, begins anew.
    @Test func aGapEndsTheWindow() {
        var meter = ProgressMeter()
        let other = BatchID(rawValue: 4)
        meter.noteBegin(batch, steady: 0)
        meter.noteBegin(other, steady: 0)
        #expect(
            measure(&meter, [job(1, tokens: 10), job(2, tokens: 10, of: other)], at: 1000).map(\.batch) == [
                batch, other,
            ])
        meter.noteEnd(other, tokens: 10)
        #expect(measure(&meter, [job(1, tokens: 20)], at: 2000).map(\.batch) == [batch])
        meter.noteBegin(other, steady: 100_000)
        let again = measure(&meter, [job(1, tokens: 20), job(3, tokens: 8, of: other)], at: 102_000)
        #expect(again.map(\.pace?.tokensPerSecond) == [again[0].pace?.tokensPerSecond, 4])
    }
}
