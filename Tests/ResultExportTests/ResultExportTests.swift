// Output lines of jobs for every way in which they end.

import OpenAIFormats
import Runtime
import StoreContract
import Testing

@testable import ResultExport

@Suite struct ResultExportTests {
    private var batch = BatchSummary(
        id: BatchID(rawValue: 2), name: "n", uniqueName: nil, endpoint: nil, model: "tiny", modelName: nil,
        status: .completed,
        priority: .normal, deadline: nil, paused: nil, modelTrouble: nil, retryOf: nil, created: 0, started: nil,
        finished: nil,
        counts: JobCounts(
            total: 1, rejected: 0, pending: 0, running: 0, succeeded: 1, failed: 0, cancelled: 0, expired: 0),
        usage: TokenUsage(), timedJobs: 0, timings: .init(queuedMS: 0, prefillMS: 0, decodeMS: 0, totalMS: 0))

    private func line(
        _ outcome: JobResult.Outcome, state: JobState, customID: String? = "c", endpoint: String? = "/v1/completions",
        modelName: String? = nil, isTimed: Bool = false
    ) -> OutputLine? {
        OutputLine(
            JobResult(
                id: JobID(rawValue: 7), batch: batch.id, line: 5, customID: customID, endpoint: endpoint,
                modelName: modelName, state: state, attempt: 2, outcome: outcome,
                usage: TokenUsage(promptTokens: 3, cachedTokens: 2, completionTokens: 4),
                timings: isTimed ? .init(queuedMS: 1, prefillMS: 2, decodeMS: 3, totalMS: 6) : nil,
                created: 1_000, finished: 9_999, finishSequence: 1),
            batch: batch)
    }

    @Test func unfinishedJobsHaveNone() {
        #expect(line(.unfinished, state: .running) == nil)
    }

    @Test func aSuccess() throws {
        let generation = Generation([
            Choice(
                text: "t", finishReason: "length", promptTokenIDs: [1, 2, 3], tokenIDs: [4, 5, 6, 7])
        ])
        let output = try #require(line(.succeeded(generation), state: .succeeded, isTimed: true))
        #expect(output.id == "batch_req_7" && output.customID == "c")
        #expect(
            output.outcome
                == .completed(
                    Completion(
                        endpoint: .completions, requestID: "req_7", id: "cmpl-7", created: 9, model: "tiny",
                        choices: [
                            Completion.Choice(
                                text: "t", finishReason: .length,
                                tokenIDs: Completion.TokenIDs(prompt: [1, 2, 3], completion: [4, 5, 6, 7]))
                        ], promptTokens: 3, cachedTokens: 2, completionTokens: 4)))
        #expect(
            output.timings == OutputLine.Timings(queued: 1, prefill: 2, decode: 3, total: 6, attempt: 2))
    }

    @Test func aChat() throws {
        let generation = Generation([Choice(text: "t", finishReason: "stop")])
        let output = try #require(line(.succeeded(generation), state: .succeeded, endpoint: "/v1/chat/completions"))
        guard case .completed(let completion) = output.outcome else {
            Issue.record("\(output.outcome)")
            return
        }
        #expect(completion.endpoint == .chatCompletions && completion.id == "chatcmpl-7")
        #expect(completion.choices == [Completion.Choice(text: "t", finishReason: .stop)])
    }

    /// A job's own name for the model, else its batch's, else what runs; never where that lies.
    @Test(
        arguments: [
            ("own", "asked", "tiny", "own"), (nil, "asked", "tiny", "asked"), (nil, nil, "tiny", "tiny"),
            (nil, nil, "/srv/models/Tiny.Q4_1.gguf", "Tiny.Q4_1"), (nil, nil, nil, ""),
        ] as [(String?, String?, String?, String)])
    func theModelsName(own: String?, asked: String?, runs: String?, shown: String) throws {
        var tests = self
        tests.batch.model = runs
        tests.batch.modelName = asked
        let generation = Generation([Choice(text: "t", finishReason: "stop")])
        let output = try #require(tests.line(.succeeded(generation), state: .succeeded, modelName: own))
        guard case .completed(let completion) = output.outcome else {
            Issue.record("\(output.outcome)")
            return
        }
        #expect(completion.model == shown)
    }

    @Test func aFailure() {
        let error = JobError(code: "too_long", message: "m", status: 400, param: "prompt")
        let refusal = Refusal(requestID: "req_7", status: 400, code: "too_long", message: "m", param: "prompt")
        #expect(line(.failed(error), state: .failed)?.outcome == .refused(refusal))
    }

    @Test func aRejectedLineWithoutAName() {
        let error = JobError(code: "invalid_json", message: "m", status: 400)
        #expect(line(.failed(error), state: .failed, customID: nil, endpoint: nil)?.customID == "line-5")
    }

    @Test func jobsThatWereNotRun() {
        guard case .notRun(.cancelled, let cancelled) = line(.cancelled, state: .cancelled)?.outcome,
            case .notRun(.expired, let expired) = line(.expired, state: .expired)?.outcome
        else {
            Issue.record("they are told as something else")
            return
        }
        #expect(cancelled.contains("cancelled") && expired.contains("expired"))
    }
}
