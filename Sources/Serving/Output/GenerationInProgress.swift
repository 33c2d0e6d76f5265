// The generation of one request between its submission and its end.

package import Engine
package import Platform
package import Prompts
package import Runtime
package import Sampling

/// The tokens, text and times of a request in flight. Its client keeps it by the request's key.
package struct GenerationInProgress: Sendable {
    /// The effect of a step on the generation.
    package enum Step {
        /// It continues.
        case goesOn
        /// Its text has reached a stop string. If `engineGoesOn`, the engine has not ended the request and it must be
        /// cancelled there.
        case endedByText(engineGoesOn: Bool)
        /// The engine has ended it.
        case ended
        /// It got no token, and the engine has removed it.
        case bad(BadOutput)
        /// What it allows leaves no token, and the engine has removed it.
        case noToken
    }

    /// The times of its events.
    package struct Times: Sendable {
        /// Start of its first prefill step.
        package var prefillStarted: Milliseconds?
        /// Milliseconds in prefill steps, including those after a preemption.
        package var prefillMS: Int64 = 0
        /// Arrival of its first token.
        package var firstToken: Milliseconds?
        /// Arrival of its latest token.
        package var lastToken: Milliseconds?
    }

    /// The request.
    package let request: PreparedRequest
    private var text: GeneratedText
    /// Tokens so far, including those that end the text.
    package private(set) var tokens: [SampledToken] = []
    /// The ids of `tokens`.
    package var tokenIDs: [Int32] { tokens.map(\.id) }
    /// Prompt tokens that were cached when it first joined the batch.
    package private(set) var cachedTokens = 0
    /// The times of its events.
    package private(set) var times = Times()
    /// Whether it is in a batch slot.
    package private(set) var isRunning = false
    private var finishReason: FinishReason?

    /// A generation without tokens; `text` must be empty.
    package init(_ request: PreparedRequest, text: GeneratedText) {
        self.request = request
        self.text = text
    }

    /// Records a preemption: it has lost its batch slot and waits for another one.
    package mutating func notePreempted() { isRunning = false }

    /// Adds the result of a step.
    package mutating func take(_ update: RequestUpdate, in step: EngineStep) -> Step {
        // Cached tokens after a preemption do not count: the request computed them itself.
        if tokens.isEmpty { cachedTokens = update.cachedTokens }
        let token: SampledToken
        switch update.output {
        case .bad(let bad): return .bad(bad)
        case .noToken: return .noToken
        case .token(let next): token = next
        }
        note(step)
        tokens.append(token)
        finishReason = update.finishReason
        if finishReason?.endsBeforeItsToken != true,
            text.append(token.id, mayStop: tokens.count > request.sampling.minTokens)
        {
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

    /// The finished generation, after it has ended.
    package mutating func finish() -> FinishedGeneration {
        let text = text.finish()
        let end: FinishedGeneration.End =
            // The U+FFFD of an incomplete character may complete a stop string.
            if let string = self.text.stopString { .stopString(string) } else {
                switch finishReason {
                case .stop(let token): .stopToken(token)
                case .length: .length
                case .endOfGeneration, nil: .endOfGeneration
                }
            }
        return FinishedGeneration(text: text, end: end)
    }
}

/// A generated text, and why it ended.
package struct FinishedGeneration: Sendable, Equatable {
    /// Why a text ended.
    package enum End: Sendable, Equatable {
        /// The model's end-of-generation token.
        case endOfGeneration
        /// One of the request's stop tokens.
        case stopToken(Int32)
        /// One of the request's stop strings, which is not part of the text.
        case stopString(String)
        /// The maximum length was reached.
        case length
    }

    /// The text.
    package let text: String
    /// Why it ended.
    package let end: End
}

extension FinishReason {
    /// Whether the last token is not part of the text.
    fileprivate var endsBeforeItsToken: Bool {
        switch self {
        case .endOfGeneration, .stop: true
        case .length: false
        }
    }
}
