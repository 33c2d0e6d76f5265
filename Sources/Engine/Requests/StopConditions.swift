// When a request ends, by its tokens; stop strings are checked by the caller, which has the text.

import Platform
import Sampling

/// The stop conditions of the model and the engine's limits; the request's own are in its `SamplingParams`.
struct StopConditions {
    /// The model's end-of-generation tokens.
    let endOfGeneration: Set<Int32>
    /// Longest sequence, prompt and generated tokens together.
    let maxSequenceLength: Int

    /// Why the request ends with its newest token; `nil` if it continues.
    ///
    /// If a token is a stop token and also reaches the length, it counts as a stop token, as in vLLM.
    /// - Parameter mustEnd: whether the request's grammar allows nothing to follow.
    func finishReason(of request: EngineRequest, mustEnd: Bool) -> FinishReason? {
        let sampling = request.sampling
        if let token = request.tokens.last, request.generatedCount > sampling.minTokens {
            if !sampling.ignoreEOS, endOfGeneration.contains(token) { return .endOfGeneration(token: token) }
            if sampling.stopTokenIDs.contains(token) { return .stop(token: token) }
        }
        if mustEnd { return .constraint }
        let isFull = request.generatedCount >= sampling.maxTokens || request.tokens.count >= maxSequenceLength
        if isFull { return .length }
        guard let limit = sampling.repetition, request.generatedCount >= sampling.minTokens else { return nil }
        return limit.isReached(by: request.tokens[request.promptLength...]) ? .repetition : nil
    }
}
