// The thread that owns the engine: what it reports, and what becomes of jobs that it never saw.

import Engine
import FakeModel
import ModelFiles
import Platform
import Prompts
import Runtime
import Sampling
import TestSupport
import Testing
import Tokenizers
import Worker

@testable import Serving

@Suite
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
                    model: try ModelBundle(path: TinyModel.path).config, endOfGenerationTokens: ending)
                return OpenedEngine(
                    engine: TTEngine(executor: worker, endOfGeneration: ending), limits: worker.limits,
                    close: { worker.close() })
            })
    }

    /// Connects a client, whose reports go to `reports`.
    private func connect(_ engine: EngineThread, _ client: ClientID = .only, to reports: Mailbox<EngineReport>? = nil) {
        let reports = reports ?? self.reports
        engine.commands.send(.connect(client, { reports.send($0) }))
    }

    private func request(_ number: Int, of client: ClientID = .only, maxTokens: Int = 2) -> EngineCommand {
        .run(
            RequestID(number, of: client),
            PreparedRequest(
                prompts: [[40, 41]],
                sampling: SamplingParams(token: .greedy, maxTokens: maxTokens, ignoreEOS: true)))
    }

    @Test func requestsSentAfterAFaultAreGivenBackAtTheEnd() throws {
        let engine = try start { (_) throws(DeviceFault) in throw .scripted }
        connect(engine)
        engine.commands.send(request(1))
        guard case .fault(_, let blamed)? = reports.receiveWaiting().first else {
            Issue.record("no fault was reported")
            return
        }
        #expect(blamed == [RequestID(1)])
        engine.commands.send(request(2))
        #expect(EngineThread.disconnect(.only, from: [engine]) == [RequestID(2)])
        EngineThread.end([engine])
    }

    @Test func disconnectingPutsBackWhatIsInFlight() throws {
        let wasTold = Event()
        let engine = try start { step throws(DeviceFault) in if step > 0 { wasTold.wait() } }
        connect(engine)
        engine.commands.send(request(1, maxTokens: 1))
        var all: [EngineReport] = []
        while !all.contains(where: \.isFinish) { all += reports.receiveWaiting() }
        engine.commands.send(request(2, maxTokens: 100))
        let ending = onThread { #expect(EngineThread.disconnect(.only, from: [engine]).isEmpty) }
        wasTold.signal()
        ending.wait()
        #expect(reports.receive().last?.putBack == [RequestID(2)])
        EngineThread.end([engine])
    }

    /// One leaves, and the other hears nothing of it; each gets the reports of its own requests only.
    @Test func clientsShareAnEngine() throws {
        let engine = try start { (_) throws(DeviceFault) in }
        let (first, second) = (ClientID(1), ClientID(2))
        let (firsts, seconds) = (Mailbox<EngineReport>(), Mailbox<EngineReport>())
        connect(engine, first, to: firsts)
        connect(engine, second, to: seconds)
        engine.commands.send(request(7, of: first, maxTokens: 90))
        engine.commands.send(request(7, of: second, maxTokens: 90))
        while firsts.receiveWaiting().isEmpty {}
        #expect(EngineThread.disconnect(first, from: [engine]).isEmpty)
        #expect(firsts.receive().last?.putBack == [RequestID(7, of: first)])
        var all: [EngineReport] = []
        while !all.contains(where: \.isFinish) { all += seconds.receiveWaiting() }
        let updates = all.flatMap(\.updates)
        #expect(updates.count == 90 && updates.allSatisfy { $0.id == RequestID(7, of: second) })
        #expect(all.allSatisfy { $0.putBack == nil } && firsts.receive().isEmpty)
        EngineThread.end([engine])
    }

    @Test func aFaultIsToldToEveryClientWithItsOwnRequests() throws {
        let allowed = Event()
        let engine = try start { step throws(DeviceFault) in
            allowed.wait()
            throw .scripted
        }
        let (first, second) = (ClientID(1), ClientID(2))
        let (firsts, seconds) = (Mailbox<EngineReport>(), Mailbox<EngineReport>())
        connect(engine, first, to: firsts)
        connect(engine, second, to: seconds)
        engine.commands.send(request(1, of: first))
        allowed.signal()
        guard case .fault(_, let blamed)? = firsts.receiveWaiting().first,
            case .fault(_, let others)? = seconds.receiveWaiting().first
        else {
            Issue.record("a client did not hear of the fault")
            return
        }
        #expect(blamed == [RequestID(1, of: first)] && others.isEmpty)
        EngineThread.end([engine])
    }

    @Test func anEngineThatCannotBeBuiltIsAnError() {
        #expect(throws: DeviceFault.self) {
            _ = try EngineThread(clock: .system, build: { throw DeviceFault.scripted })
        }
    }
}

extension EngineReport {
    /// What a step did for requests.
    fileprivate var updates: [RequestUpdate] {
        if case .step(let step) = self { step.report.updates } else { [] }
    }

    /// The returned requests of a `putBack` report.
    fileprivate var putBack: [RequestID]? { if case .putBack(let ids) = self { ids } else { nil } }

    /// A step that ended a request.
    fileprivate var isFinish: Bool { updates.contains { $0.finishReason != nil } }
}
