// Which requests can run within an engine's limits.

import Platform
import Sampling

extension StepLimits {
    var promptBounds: PromptBounds {
        PromptBounds(
            maxModelLen: maxModelLen, canRaiseMaxModelLen: canRaiseMaxModelLen, vocabularySize: vocabularySize)
    }

    /// Longest sequence that the whole KV cache holds, in tokens.
    var cacheTokens: Int { kvCache.longestSequence }

    /// Longest sequence that can run: the model's length, or the capacity of the KV cache if that is smaller.
    var maxSequenceLength: Int { min(maxModelLen, cacheTokens) }

    /// Throws if a request cannot run within these limits on a model with the end tokens `endOfGeneration`.
    func admit(
        prompt: [Int32], sampling: SamplingParams, endOfGeneration: Set<Int32>
    ) throws(RequestRefusal) {
        try promptBounds.admit(prompt, wantsTokens: sampling.maxTokens > 0)
        if sampling.promptLogprobs != nil, !scoresPrompts {
            throw .parameter(
                RequestError(
                    field: "prompt_logprobs", reason: "the device tells no logprobs of prompts: run the job on the host"
                ))
        }
        if prompt.count + min(sampling.maxTokens, 1) > cacheTokens {
            throw .promptExceedsKVCache(tokens: prompt.count, cacheTokens: cacheTokens)
        }
        do {
            try TTPlatform.validateRequest(
                sampling, vocabularySize: vocabularySize, endOfGeneration: endOfGeneration)
        } catch {
            throw .parameter(error)
        }
    }
}
