// The generation of one sequence between its submission and its end.

import Engine
import Platform
import Prompts
import Runtime
import Sampling

/// The tokens, text and times of a sequence in flight.
struct GenerationInProgress: Sendable {
    /// The effect of a step on the generation.
    enum Step {
        /// It continues.
        case goesOn
        /// Its text has reached a stop string. If `engineGoesOn`, the engine has not ended the request and it must be
        /// cancelled there.
        case endedByText(engineGoesOn: Bool)
        /// The engine has ended it.
        case ended
        /// It got no token, and the engine has removed it.
        case bad(BadOutput)
        /// What it allows leaves no token, for this reason, and the engine has removed it.
        case noToken(String)
    }

    private var text: GeneratedText
    /// Tokens so far, including those that end the text.
    private(set) var tokens: [SampledToken] = []
    /// Prompt tokens that were cached when it first joined the batch.
    private(set) var cachedTokens = 0
    /// The times of its events.
    private(set) var times = RequestTimes()
    /// Whether it is in a batch slot.
    private(set) var isRunning = false
    private var finishReason: FinishReason?
    /// The logprobs of the prompt's tokens that its request wants.
    private(set) var promptLogprobs: [TokenLogprobs] = []
    private let minTokens: Int
    private let includesStop: Bool

    /// A generation without tokens; `text` must be empty.
    init(_ request: PreparedRequest, text: GeneratedText) {
        minTokens = request.sampling.minTokens
        includesStop = request.output.includesStop
        self.text = text
    }

    /// Records a preemption: it has lost its batch slot and waits for another one.
    mutating func notePreempted() { isRunning = false }

    /// Adds the result of a step.
    mutating func take(_ update: RequestUpdate, in step: EngineStep) -> Step {
        // Cached tokens after a preemption do not count: the request computed them itself.
        if tokens.isEmpty {
            cachedTokens = update.cachedTokens
            promptLogprobs = update.promptLogprobs
        }
        let token: SampledToken
        switch update.output {
        case .bad(let bad): return .bad(bad)
        case .noToken(let reason): return .noToken(reason)
        case .nothing:
            note(step)
            finishReason = update.finishReason
            return .ended
        case .token(let next): token = next
        }
        note(step)
        tokens.append(token)
        finishReason = update.finishReason
        if finishReason?.endsBeforeItsToken == true {
            // A stop token's text cannot complete a stop string.
            if includesStop { _ = text.append(token.id, mayStop: false) }
        } else if text.append(token.id, mayStop: tokens.count > minTokens) {
            return .endedByText(engineGoesOn: finishReason == nil)
        }
        return finishReason == nil ? .goesOn : .ended
    }

    private mutating func note(_ step: EngineStep) {
        if step.report.kind == .prefill {
            if times.prefillStarted == nil { times.prefillStarted = step.started }
            times.prefillMS += max(0, step.ended - step.started)
        }
        if times.firstToken == nil { times.firstToken = step.ended }
        times.lastToken = step.ended
        isRunning = true
    }

    /// See `RequestInProgress.takeStableText`.
    mutating func takeStableText(isAtEnd: Bool) -> String? { text.takeStable(isAtEnd: isAtEnd) }

    /// The whole text and why it ended, after it has ended.
    mutating func finish() -> (text: String, end: FinishedChoice.End) {
        let text = text.finish()
        let end: FinishedChoice.End =
            // The U+FFFD of an incomplete character may complete a stop string.
            if let string = self.text.stopString { .stopString(string) } else {
                switch finishReason {
                case .stop(let token): .stopToken(token)
                case .length: .length
                case .repetition: .repetition
                case .endOfGeneration, .constraint, nil: .endOfGeneration
                }
            }
        return (text, end)
    }

    /// Whether its grammar's text is complete; nil if it has none.
    var isComplete: Bool? {
        guard let state = tokens.last?.constraint else { return nil }
        return state != .open
    }

    /// The mean logprob of its tokens; of a text without tokens, −∞.
    var meanLogprob: Double {
        let values = tokens.compactMap { $0.logprobs.map { Double($0.own.logprob) } }
        return values.isEmpty ? -.infinity : values.reduce(0, +) / Double(values.count)
    }
}

extension FinishReason {
    /// Whether the last token is not part of the text.
    fileprivate var endsBeforeItsToken: Bool {
        switch self {
        case .endOfGeneration, .stop: true
        case .length, .constraint, .repetition: false
        }
    }
}
