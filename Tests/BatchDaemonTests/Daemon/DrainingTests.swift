// A daemon that works its queue off: results, order, scope, models, metrics.

import FakeModel
import Foundation
import HostDevice
import Platform
import QueueFixture
import Runtime
import StoreContract
import Synchronization
import TestSupport
import Testing
import Tokenizers

@testable import BatchDaemon
@testable import Settings

@Suite
struct DrainingTests {
    let fixture: DaemonFixture

    init() throws { fixture = try DaemonFixture() }

    @Test func resultsAreWhatTheModelSaysToEachPromptAlone() throws {
        let prompts = [Prompt].some(40)
        let batch = try fixture.enqueue(prompts.lines)
        let platform = FakePlatform()
        try fixture.daemon(platform).run()

        try fixture.expectAllSucceeded(batch, prompts)
        let results = try fixture.results(batch)
        #expect(results.allSatisfy { $0.attempt == 1 && $0.usage.promptTokens == 3 })
        for result in results {
            let timings = try #require(result.timings)
            #expect([timings.queuedMS, timings.prefillMS, timings.decodeMS].allSatisfy { $0 >= 0 })
            #expect(timings.totalMS >= timings.decodeMS)
        }
        #expect(platform.openings == 1)
        #expect(try fixture.client.incarnations(limit: 1).first?.stopped != nil)
        #expect(try fixture.client.systemStatus().daemon == .absent)
    }

    @Test func metricsAddUpToTheTokensOfTheResults() throws {
        let batch = try fixture.enqueue([Prompt].some(50).lines)
        try fixture.daemon(FakePlatform()).run()
        let usage = try fixture.client.batch(batch).usage
        let intervals = try fixture.client.metrics(.period(from: 0, to: .init(rawValue: .max)), limit: 100_000)
        #expect(intervals.reduce(0) { $0 + $1.generatedTokens } == Int64(usage.completionTokens))
        #expect(intervals.reduce(0) { $0 + $1.promptTokens } == Int64(usage.promptTokens))
        #expect(intervals.reduce(0) { $0 + $1.jobsSucceeded } == 50)
        #expect(intervals.allSatisfy { $0.end >= $0.start && $0.slots == 4 && $0.kvBlocksMax <= $0.kvBlocksTotal })
        #expect(intervals.last?.queueDepth == 0)
    }

    @Test(arguments: [true, false])
    func alikePromptsArePrefilledTogetherAndOnlyInPart(sharesPrefixes: Bool) throws {
        // Two templates in turn; the prompts of each fill the device's four slots three times.
        let prompts = (0..<24).map { Prompt(number: $0, beginning: Array($0 % 2 == 0 ? 60..<100 : 100..<140)) }
        let batch = try fixture.enqueue(prompts.lines)
        let lastTokens = Mutex<[Int32]>([])
        let platform = FakePlatform(sharesPrefixes: sharesPrefixes) { step throws(DeviceFault) in
            lastTokens.withLock { $0 += step.prefilled.compactMap(\.last) }
        }
        try fixture.daemon(platform).run()
        try fixture.expectAllSucceeded(batch, prompts)
        let usage = try fixture.client.batch(batch).usage
        let metrics = try fixture.client.metricsSummary(.period(from: 0, to: .init(rawValue: .max)))
        #expect(metrics.promptTokens + metrics.cachedTokens == Int64(usage.promptTokens))
        // Of 43 tokens, 40 of them the template's, two blocks of 16 are shared by all but the first of each template, and what
        // the third one begins with as soon as a sequence has filled it.
        let cached = try fixture.results(batch).map(\.usage.cachedTokens)
        let total = Int64(cached.reduce(0, +))
        #expect(metrics.cachedTokens == total && usage.cachedTokens == Int(total))
        if sharesPrefixes {
            #expect(cached.prefix(2) == [0, 0])
            // Which of the next ones come late enough is up to how jobs arrive.
            #expect(cached.dropFirst(2).allSatisfy { $0 == 32 || (40..<43).contains($0) })
            #expect(cached.contains { $0 >= 40 })
        } else {
            #expect(total == 0)
        }
        #expect(lastTokens.withLock { $0.map { $0 % 2 } } == (0..<24).map { $0 / 12 })
    }

    /// The golden tokens were made by transformers.
    @Test func theHostDeviceGivesTheGoldenTokens() throws {
        struct Golden: Decodable {
            struct Model: Decodable {
                struct Row: Decodable { let prompt_token_ids: [Int32], token_ids: [Int32] }
                let file: String
                let rows: [Row]
            }
            let models: [Model]
        }
        let golden = Locations.golden("tiny/tiny-greedy.json")
        let models = try JSONDecoder().decode(Golden.self, from: Data(contentsOf: golden)).models
        let rows = try #require(models.first { $0.file == "tiny-f32.gguf" }).rows
        let batch = try fixture.enqueue(
            rows.map { row in
                """
                {"prompt":\(row.prompt_token_ids),"max_tokens":\(row.token_ids.count),"temperature":0,\
                "ignore_eos":true,"return_token_ids":true}
                """
            })
        fixture.configuration.engine.threads = 1
        fixture.configuration.engine.tt.optimizations = .accuracy
        try fixture.daemon(HostPlatform()).run()
        #expect(try fixture.results(batch).map(\.generated) == rows.map(\.token_ids))
    }

    @Test func batchesOfSeveralModelsRunOneAfterTheOther() throws {
        let prompts = [Prompt].some(10)
        let first = try fixture.enqueue(prompts.lines, model: "tiny")
        let second = try fixture.enqueue(prompts.lines, model: "other")
        let third = try fixture.enqueue(prompts.lines, model: "tiny")
        let platform = FakePlatform()
        try fixture.daemon(platform).run()
        for batch in [first, second, third] { try fixture.expectAllSucceeded(batch, prompts) }
        #expect(platform.openings == 2, "a loaded model keeps its turn")
        let ends = try [first, second, third].map { try #require(try fixture.client.batch($0).finished) }
        #expect(ends[1] >= ends[0] && ends[1] >= ends[2])
    }

    @Test func theConfiguredDeviceMustBeThere() throws {
        let batch = try fixture.enqueue([Prompt].some(2).lines)
        fixture.configuration.engine.device = "unheard-of"
        #expect(throws: ConfigurationError.self) { try fixture.daemon(FakePlatform()).run() }
        #expect(try fixture.client.batch(batch).counts.pending == 2)
    }

    @Test func aScopeLeavesOtherBatchesAlone() throws {
        let prompts = [Prompt].some(8)
        let other = try fixture.enqueue(prompts.lines)
        let mine = try fixture.enqueue(prompts.lines)
        try fixture.daemon(FakePlatform(), scope: .batches([mine])).run()
        try fixture.expectAllSucceeded(mine, prompts)
        #expect(try fixture.client.batch(other).counts.pending == 8)
    }

    @Test func jobsThatCannotRunFailAndTheOthersDoNot() throws {
        let prompt = Prompt(number: 1)
        let long = "[" + Array(repeating: "5", count: 200).joined(separator: ",") + "]"
        let batch = try fixture.enqueue([prompt.line, #"{"custom_id":"long","prompt":\#(long)}"#])
        // The daemon's settings are others than those with which the file was checked.
        fixture.configuration.engine.maxModelLen = 200
        try fixture.daemon(FakePlatform()).run()
        let results = try fixture.results(batch)
        #expect(results[0].generated == prompt.expectedTokens)
        #expect(results.map { $0.error?.code } == [nil, "context_length_exceeded"])
        #expect(results[1].error?.message.contains("or raise max_model_len") == true)
        #expect(try fixture.client.batch(batch).status == .completed)
    }

    @Test func aStopStringEndsAJobBeforeItsTokensDo() throws {
        let free = Prompt(number: 3, maxTokens: 40)
        let text = TinyModel.tokenizer.decode(free.expectedTokens)
        // Something that the text has in its middle, and that JSON can say.
        let letters = text.unicodeScalars.filter { $0.isASCII && $0.properties.isAlphabetic }
        let stop = String(try #require(letters.dropFirst(2).first))
        let line = free.line.replacing("\"max_tokens\"", with: "\"stop\":\"\(stop)\",\"max_tokens\"")
        let batch = try fixture.enqueue([line])
        try fixture.daemon(FakePlatform()).run()
        guard case .succeeded(let generation) = try #require(try fixture.results(batch).first).outcome else {
            Issue.record("the job did not succeed")
            return
        }
        #expect(generation.choices[0].finishReason == "stop")
        #expect(generation.choices[0].text == text.prefix { String($0) != stop })
        let tokens = try #require(generation.choices[0].tokenIDs)
        #expect(tokens.count < free.expectedTokens.count && tokens == Array(free.expectedTokens.prefix(tokens.count)))
    }

    @Test func aSecondDaemonIsRefused() throws {
        let lease = try fixture.client.acquireLease()
        defer { lease.release() }
        let error = #expect(throws: JobStoreError.self) { try fixture.daemon(FakePlatform()).run() }
        guard case .daemonRunning = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }
}
