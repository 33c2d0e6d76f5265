// The thread that owns the engine: what it reports, and what becomes of jobs that it never saw.

import FakeModel
import JobStore
import ModelFiles
import TTEngine
import TTPlatform
import TTWorker
import Testing
import Tokenizer

@testable import BatchDaemon

@Suite(.timeLimit(.minutes(1)))
struct EngineThreadTests {
    private let reports = Mailbox<EngineReport>()

    private func start(
        beforeStep: @escaping @Sendable (Int) throws(DeviceFault) -> Void
    ) throws -> EngineThread {
        try EngineThread(
            clock: .system,
            build: {
                let device = FakeMeshDevice(language: TinyModel.language) { model in
                    model.beforeStep = beforeStep
                }
                let ending = TinyModel.tokenizer.endOfGenerationTokens
                let worker = try TTWorker(
                    device: device, configuration: EngineConfiguration(),
                    model: ModelConfig(gguf: GGUFFile(path: TinyModel.path)), endOfGenerationTokens: ending)
                return OpenedEngine(
                    engine: TTEngine(executor: worker, endOfGeneration: ending), limits: worker.limits,
                    close: { worker.close() })
            },
            report: { [reports] in reports.send($0) })
    }

    private func job(_ number: Int64, maxTokens: Int = 2) -> PreparedJob {
        PreparedJob(
            ticket: ClaimTicket(job: JobID(rawValue: number), batch: BatchID(rawValue: 1), attempt: 1), created: 0,
            promptTokens: [40, 41], sampling: SamplingParams(token: .greedy, maxTokens: maxTokens, ignoreEOS: true),
            stopStrings: [], returnTokenIDs: false)
    }

    @Test func jobsSentAfterAFaultAreGivenBackAtTheEnd() throws {
        let engine = try start { (_) throws(DeviceFault) in throw .scripted }
        engine.commands.send(.run(job(1)))
        guard case .fault(_, let blamed)? = reports.receiveWaiting().first else {
            Issue.record("no fault was reported")
            return
        }
        #expect(blamed == [job(1).ticket])
        engine.commands.send(.run(job(2)))
        #expect(EngineThread.end([engine]) == [job(2).ticket])
    }

    @Test func endingPutsBackWhatIsInFlight() throws {
        let wasTold = Event()
        let engine = try start { step throws(DeviceFault) in if step > 0 { wasTold.wait() } }
        engine.commands.send(.run(job(1, maxTokens: 1)))
        var all: [EngineReport] = []
        while !all.contains(where: \.isFinish) { all += reports.receiveWaiting() }
        engine.commands.send(.run(job(2, maxTokens: 100)))
        engine.commands.send(.putBackAll)
        wasTold.signal()
        #expect(EngineThread.end([engine]).isEmpty)
        guard case .putBack(let tickets)? = reports.receive().last else {
            Issue.record("the end was not reported")
            return
        }
        #expect(tickets == [job(2).ticket])
    }

    @Test func anEngineThatCannotBeBuiltIsAnError() {
        #expect(throws: DeviceFault.self) {
            _ = try EngineThread(clock: .system, build: { throw DeviceFault.scripted }, report: { _ in })
        }
    }
}

extension EngineReport {
    /// A step that ended a job.
    fileprivate var isFinish: Bool {
        guard case .step(let step) = self else { return false }
        return step.events.contains { if case .finished = $0.event { true } else { false } }
    }
}
