// Converts stored results to output lines.

import ModelFiles
public import OpenAIFormats
import Runtime
public import StoreContract

extension OutputLine {
    /// The output line of a job that has ended; nil for one that has not.
    public init?(_ result: JobResult, batch: BatchSummary) {
        let requestID = "req_\(result.id.rawValue)"
        let outcome: Outcome
        switch result.outcome {
        case .unfinished: return nil
        case .succeeded(let generation):
            outcome = .completed(
                Completion(
                    generation, of: result, model: result.modelName ?? batch.shownModel ?? "", requestID: requestID))
        case .failed(let error):
            outcome = .refused(
                Refusal(
                    requestID: requestID, status: error.status, code: error.code, message: error.message,
                    param: error.param))
        case .cancelled: outcome = .notRun(.cancelled, message: "The batch was cancelled before this request ended.")
        case .expired:
            outcome = .notRun(
                .expired,
                message: "This request could not be executed before the completion window expired.")
        }
        self.init(
            id: "batch_req_\(result.id.rawValue)", customID: result.customID ?? "line-\(result.line)",
            outcome: outcome,
            timings: result.timings.map {
                OutputLine.Timings(
                    queued: $0.queuedMS, prefill: $0.prefillMS, decode: $0.decodeMS, total: $0.totalMS,
                    attempt: result.attempt)
            })
    }
}

extension BatchSummary {
    /// The model name in results. Batches of earlier versions have no separate `modelName`.
    public var shownModel: String? { modelName ?? model.map(ModelCatalogue.shown) }
}

extension Completion {
    fileprivate init(_ generation: Generation, of result: JobResult, model: String, requestID: String) {
        let endpoint = result.endpoint.flatMap(Endpoint.init(rawValue:)) ?? .completions
        self.init(
            endpoint: endpoint, requestID: requestID,
            id: (endpoint == .completions ? "cmpl-" : "chatcmpl-") + String(result.id.rawValue),
            created: (result.finished ?? result.created).rawValue / 1000, model: model,
            choices: generation.choices.map { Choice($0) }, promptTokens: result.usage.promptTokens,
            cachedTokens: result.usage.cachedTokens, completionTokens: result.usage.completionTokens,
            seed: generation.seed, fingerprint: generation.fingerprint)
    }
}

extension Completion.Choice {
    fileprivate init(_ choice: StoreContract.Choice) {
        self.init(
            text: choice.text, reasoning: choice.reasoning,
            toolCalls: choice.toolCalls.flatMap { [ToolCall](json: $0) } ?? [], confidence: choice.confidence,
            scores: choice.scores, unread: choice.unread,
            finishReason: Completion.FinishReason(rawValue: choice.finishReason) ?? .stop,
            isComplete: choice.isComplete,
            stopReason: choice.stopReason.map { reason in
                switch reason {
                case .string(let string): .string(string)
                case .token(let token): .token(token)
                }
            },
            tokenIDs: choice.promptTokenIDs.flatMap { prompt in
                choice.tokenIDs.map { Completion.TokenIDs(prompt: prompt, completion: $0) }
            },
            logprobs: choice.logprobs, promptLogprobs: choice.promptLogprobs)
    }
}
