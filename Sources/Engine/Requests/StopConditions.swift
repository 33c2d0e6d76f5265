// When a request has ended, judged by tokens; stop strings are the caller's, who knows the text.

import Platform

/// The conditions that the model and the engine's limits set; the request's own are in its `SamplingParams`.
struct StopConditions {
    /// The model's end-of-generation tokens.
    let endOfGeneration: Set<Int32>
    /// Longest sequence, prompt and generated tokens together.
    let maxSequenceLength: Int

    /// Why the request ends with its newest token; `nil` where it goes on.
    ///
    /// A token that stops counts before a length that is reached with it, as in vLLM.
    func finishReason(of request: EngineRequest) -> FinishReason? {
        let sampling = request.sampling
        if let token = request.tokens.last, request.generatedCount > sampling.minTokens {
            if !sampling.ignoreEOS, endOfGeneration.contains(token) { return .endOfGeneration(token: token) }
            if sampling.stopTokenIDs.contains(token) { return .stop(token: token) }
        }
        let isFull = request.generatedCount >= sampling.maxTokens || request.tokens.count >= maxSequenceLength
        return isFull ? .length : nil
    }
}
