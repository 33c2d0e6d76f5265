// A request between its submission and its end: one sequence, or several of which each ends by itself.

package import Engine
package import Platform
package import Prompts
package import Runtime
import Sampling
package import Tokenizers

/// The sequences of a request in flight. Its client keeps it by the key of the first one.
package struct RequestInProgress: Sendable {
    /// The effect of a step's result on the request.
    package enum Step {
        /// It continues.
        case goesOn
        /// All its texts have ended.
        case ended
        /// A sequence got no token; the others are of no use.
        case bad(BadOutput)
        /// What the request allows leaves no token to a sequence, for this reason; the others are of no use.
        case noToken(String)
    }

    /// The request.
    package let request: PreparedRequest
    private let tokenizer: Tokenizer
    /// When it was submitted to the engine; nil if its times are not recorded.
    package let submitted: Milliseconds?
    private let metrics: RequestMetrics?
    private var generations: [GenerationInProgress]
    private var hasEnded: [Bool]

    /// A request of which no token has been generated.
    ///
    /// - Parameters:
    ///   - submitted: when it was submitted to the engine.
    ///   - metrics: where the times of its tokens are recorded; nil: nowhere.
    package init(
        _ request: PreparedRequest, _ tokenizer: Tokenizer, submitted: Milliseconds? = nil,
        metrics: RequestMetrics? = nil
    ) {
        self.request = request
        self.tokenizer = tokenizer
        self.submitted = submitted
        self.metrics = metrics
        generations = (0..<request.sequenceCount).map { _ in
            GenerationInProgress(request, text: GeneratedText(tokenizer, request.output))
        }
        hasEnded = generations.map { _ in false }
    }

    /// Tokens of all its sequences so far, including those that end a text.
    package var tokenCount: Int { generations.reduce(0) { $0 + $1.tokens.count } }
    /// Whether a sequence is in a batch slot.
    package var isRunning: Bool {
        zip(generations, hasEnded).contains { $0.isRunning && !$1 }
    }

    /// The times of its events: the first start, the last token, and the longest time in prefill steps.
    package var times: RequestTimes {
        var times = RequestTimes()
        for generation in generations {
            let own = generation.times
            times.prefillStarted = [times.prefillStarted, own.prefillStarted].compactMap(\.self).min()
            times.firstToken = [times.firstToken, own.firstToken].compactMap(\.self).min()
            times.lastToken = [times.lastToken, own.lastToken].compactMap(\.self).max()
            times.prefillMS = max(times.prefillMS, own.prefillMS)
        }
        return times
    }

    /// Records that a sequence has lost its batch slot and waits for another one.
    package mutating func notePreempted(_ id: RequestID) { generations[id.sequence].notePreempted() }

    /// Adds the result of a step for a sequence.
    ///
    /// - Parameter cancel: ends a sequence whose text has ended, and which the engine would continue.
    package mutating func take(
        _ update: RequestUpdate, in step: EngineStep, cancel: (RequestID) -> Void
    ) -> Step {
        let sequence = update.id.sequence
        // A sequence that has ended by its text may get tokens until the engine has handled the cancel command.
        guard !hasEnded[sequence] else { return .goesOn }
        if let metrics { note(update, in: step, metrics) }
        switch generations[sequence].take(update, in: step) {
        case .goesOn: return .goesOn
        case .bad(let output): return .bad(output)
        case .noToken(let reason): return .noToken(reason)
        case .endedByText(let engineGoesOn):
            if engineGoesOn { cancel(update.id) }
        case .ended: break
        }
        hasEnded[sequence] = true
        return hasEnded.allSatisfy(\.self) ? .ended : .goesOn
    }

    private func note(_ update: RequestUpdate, in step: EngineStep, _ metrics: RequestMetrics) {
        guard case .token = update.output else { return }
        let last = generations[update.id.sequence].times.lastToken
        if let before = last ?? submitted {
            metrics.noteToken(at: step.ended, after: before, isFirst: last == nil)
        }
    }

    /// What a sequence's text has grown by since the last call and no stop string takes back; nil if that is nothing.
    package mutating func takeStableText(of sequence: Int) -> String? {
        generations[sequence].takeStableText(isAtEnd: hasEnded[sequence])
    }

    /// The results, after all texts have ended.
    package mutating func finish() -> FinishedRequest {
        let choices = request.prompts.indices.flatMap { prompt in
            if let answer = scoredAnswer(behind: prompt) { return [answer] }
            return best(ofPrompt: prompt).map { choice($0, prompt: prompt) }
        }
        return FinishedRequest(
            choices: choices, promptTokens: request.prompts.reduce(0) { $0 + $1.count },
            cachedTokens: request.prompts.indices.reduce(0) {
                $0 + generations[$1 * request.candidates].cachedTokens
            },
            completionTokens: tokenCount)
    }

    /// The sequences of a prompt that are returned: those with the highest mean logprob, among equals the earlier ones;
    /// the best one first, unless all are returned.
    private func best(ofPrompt prompt: Int) -> [Int] {
        let sequences = Array(prompt * request.candidates..<(prompt + 1) * request.candidates)
        guard request.choices < request.candidates else { return sequences }
        let means = sequences.map { generations[$0].meanLogprob }
        let order = sequences.indices.sorted { means[$0] != means[$1] ? means[$0] > means[$1] : $0 < $1 }
        return order.prefix(request.choices).map { sequences[$0] }
    }

    /// The most probable of the texts that were scored behind a prompt; nil if texts were generated.
    private func scoredAnswer(behind prompt: Int) -> FinishedChoice? {
        let sequences = generations[prompt * request.candidates..<(prompt + 1) * request.candidates]
        let answer = request.output.scoredAnswer(sequences.map { $0.tokens.compactMap(\.logprobs) })
        return answer.map {
            FinishedChoice(
                answer: Answer(text: $0.text), scores: $0.json, end: .endOfGeneration, isComplete: nil,
                promptTokenIDs: nil, tokenIDs: nil, logprobs: nil, promptLogprobs: nil)
        }
    }

    private mutating func choice(_ sequence: Int, prompt: Int) -> FinishedChoice {
        var (text, end) = generations[sequence].finish()
        let generation = generations[sequence]
        let (rules, tokens) = (request.output, request.prompts[prompt])
        let confidence = confidence(of: text, generation)
        if let echo = rules.echoes?[prompt] { text = echo + text }
        let answer = rules.answer?.read(text, isComplete: generation.isComplete) ?? Answer(text: text)
        if end == .endOfGeneration, rules.answer?.endsByCalls(answer) ?? false { end = .toolCalls }
        // The first sequence of a prompt has its logprobs.
        let ofPrompt = generations[prompt * request.candidates].promptLogprobs
        var logprobs: [ScoredPosition]?
        if let top = rules.topLogprobs {
            var positions: [ScoredPosition] = []
            if rules.echoes != nil {
                positions.append(ScoredPosition(own: scored(tokens[0], nil)))
                positions += ofPrompt.map { position($0, top: top) }
            }
            logprobs = positions + generation.tokens.compactMap { $0.logprobs.map { position($0, top: top) } }
        }
        return FinishedChoice(
            answer: answer, confidence: confidence, end: end,
            isComplete: generation.isComplete,
            promptTokenIDs: rules.returnsTokenIDs ? tokens : nil,
            tokenIDs: rules.returnsTokenIDs ? generation.tokens.map(\.id) : nil, logprobs: logprobs,
            promptLogprobs: rules.topPromptLogprobs.map { top in ofPrompt.map { position($0, top: top) } })
    }

    /// The probabilities of the values of a generated JSON text, if they are wanted.
    private func confidence(of generated: String, _ generation: GenerationInProgress) -> String? {
        let rules = request.output
        guard rules.wantsConfidence else { return nil }
        let answer = rules.answer?.behindReasoning(generated, isComplete: generation.isComplete)
        let text = answer?.text ?? generated
        guard generated.hasSuffix(text) else { return nil }
        var bytes: [UInt8] = []
        let tokens = generation.tokens.map { token in
            let isShown = rules.answer?.shownTokens.contains(token.id) == true
            let own = tokenizer.bytes(
                of: CollectionOfOne(token.id), skipSpecial: rules.skipsSpecialTokens && !isShown)
            bytes += own
            return (bytes: own.count, logprob: Double(token.logprobs?.own.logprob ?? 0))
        }
        // Otherwise the decoder has added to the text, and it is not known which tokens make a value.
        guard bytes.starts(with: generated.utf8) else { return nil }
        return FieldConfidence.json(of: text, tokens, offset: generated.utf8.count - text.utf8.count)
    }

    private func position(_ logprobs: TokenLogprobs, top: Int) -> ScoredPosition {
        func token(_ value: TokenLogprob) -> ScoredToken { scored(value.token, value.logprob) }
        return ScoredPosition(
            own: token(logprobs.own), top: logprobs.top.prefix(top).map(token),
            requested: logprobs.requested.map(token), rank: logprobs.rank)
    }

    private func scored(_ id: Int32, _ logprob: Float?) -> ScoredToken {
        let bytes =
            request.output.namesTokensByID
            ? Array("token_id:\(id)".utf8) : tokenizer.bytes(of: CollectionOfOne(id), skipSpecial: false)
        return ScoredToken(token: id, bytes: bytes, logprob: logprob)
    }
}

/// The times of a request's events.
package struct RequestTimes: Sendable {
    /// Start of its first prefill step.
    package var prefillStarted: Milliseconds?
    /// Milliseconds in prefill steps, including those after a preemption.
    package var prefillMS: Int64 = 0
    /// Arrival of its first token.
    package var firstToken: Milliseconds?
    /// Arrival of its latest token.
    package var lastToken: Milliseconds?
}
