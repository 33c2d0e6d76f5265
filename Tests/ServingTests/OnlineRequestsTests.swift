// Callers that wait for answers: what they get, as it grows and at its end, and what becomes of those who leave.

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
struct OnlineRequestsTests {
    private func engine(
        beforeStep: @escaping @Sendable (Int) throws(DeviceFault) -> Void = { _ in }
    ) throws -> EngineThread {
        try EngineThread(
            clock: .system,
            build: {
                let device = FakeMeshDevice(language: TinyModel.language) { $0.beforeStep = beforeStep }
                let ending = TinyModel.tokenizer.endOfGenerationTokens
                let worker = try TTWorker(
                    device: device, configuration: EngineConfiguration(),
                    model: try ModelBundle(path: TinyModel.path).config, endOfGenerationTokens: ending)
                return OpenedEngine(
                    engine: TTEngine(
                        executor: worker, endOfGeneration: ending, share: OnlineShare(slots: 4, prefillTokens: 64)),
                    limits: worker.limits, close: { worker.close() })
            })
    }

    private func online(_ engine: EngineThread, limit: Int = 8) -> OnlineRequests {
        OnlineRequests(tokenizer: TinyModel.tokenizer, limit: limit) { sink in
            Connection(
                replicas: Replicas(
                    [engine.commands], slots: engine.limits.maxNumSeqs, client: ClientID(1), sink: sink),
                disconnect: { EngineThread.disconnect(ClientID(1), from: [engine]) })
        }
    }

    private func request(
        _ first: Int32 = 40, maxTokens: Int = 20, texts: Int = 1, stops: [String] = []
    ) -> PreparedRequest {
        var output = OutputRules()
        output.stopStrings = stops
        return PreparedRequest(
            prompts: [[first, 41]],
            sampling: SamplingParams(
                token: TTSamplingParams(temperature: 1, seed: 9), maxTokens: maxTokens, ignoreEOS: true),
            candidates: texts, choices: texts, output: output)
    }

    /// All events of a request.
    private func events(_ stream: AsyncStream<OnlineEvent>) async -> [OnlineEvent] {
        var events: [OnlineEvent] = []
        for await event in stream { events.append(event) }
        return events
    }

    private func finished(_ events: [OnlineEvent]) -> FinishedRequest? {
        if case .finished(let request)? = events.last { request } else { nil }
    }

    /// The pieces of each text joined are its text, also where a stop string ends it, or seems to begin.
    @Test(arguments: [[], ["a"], ["e k", "zzz", " t"]])
    func whatGrowsIsWhatIsAtTheEnd(stops: [String]) async throws {
        let engine = try engine()
        let online = online(engine)
        for first in 40..<60 as Range<Int32> {
            let all = await events(try online.submit(request(first, texts: 3, stops: stops), streams: true))
            let result = try #require(finished(all))
            var texts = ["", "", ""]
            for case .text(let choice, let piece) in all {
                #expect(!piece.isEmpty)
                texts[choice] += piece
            }
            #expect(texts == result.choices.map(\.answer.text))
            let whole = await events(try online.submit(request(first, texts: 3, stops: stops)))
            #expect(whole.count == 1 && finished(whole) == result)
        }
        online.close()
        EngineThread.end([engine])
    }

    @Test func whoeverLeavesIsCancelledAndHarmsNobody() async throws {
        let engine = try engine()
        let online = online(engine, limit: 2)
        let long = try online.submit(request(maxTokens: 200))
        let left = Task {
            for await _ in try online.submit(request(41, maxTokens: 200), streams: true) { break }
        }
        try await left.value
        let result = try #require(finished(await events(long)))
        #expect(result.completionTokens == 200)
        // Its place is free again.
        #expect(finished(await events(try online.submit(request()))) != nil)
        online.close()
        EngineThread.end([engine])
    }

    @Test func moreThanMayWaitAreRefused() async throws {
        let allowed = Event()
        let engine = try engine { (_) throws(DeviceFault) in allowed.wait() }
        let online = online(engine, limit: 2)
        let streams = try [online.submit(request()), online.submit(request(41))]
        #expect(throws: OnlineFailure.self) { try online.submit(request(42)) }
        for _ in 0..<100 { allowed.signal() }
        for stream in streams { #expect(finished(await events(stream)) != nil) }
        online.close()
        EngineThread.end([engine])
    }

    @Test func whatCannotRunOrIsLostIsTold() async throws {
        let engine = try engine { step throws(DeviceFault) in if step > 30 { throw .scripted } }
        let online = online(engine)
        let tooLong = PreparedRequest(
            prompts: [[Int32](repeating: 40, count: 5000)], sampling: SamplingParams(token: .greedy, maxTokens: 1))
        let refused = await events(try online.submit(tooLong))
        guard case .failed(.refused)? = refused.last else {
            Issue.record("\(refused)")
            return
        }
        let lost = await events(try online.submit(request(maxTokens: 200)))
        guard case .failed(.device(let reason))? = lost.last else {
            Issue.record("\(lost)")
            return
        }
        #expect(!reason.isEmpty)
        let late = try online.submit(request())
        online.close()
        guard case .failed(.unloaded)? = await events(late).last else {
            Issue.record("a request of an engine that has ended has an end")
            return
        }
        EngineThread.end([engine])
    }
}
