// What has come of one request between its submission and its end.

package import Engine
package import Platform
package import Prompts
package import Runtime

/// A generation whose tokens are coming in. Its client holds it, by the request's key.
package struct GenerationInProgress: Sendable {
    /// What a step meant for the generation.
    package enum Step {
        /// It goes on.
        case goesOn
        /// Its text has reached a stop string: the engine need not go on, and must be told so unless it has ended as well.
        case endedByText(engineGoesOn: Bool)
        /// The engine has ended it.
        case ended
        /// It got no token, and is no longer with the engine.
        case bad(BadOutput)
    }

    /// When things happened.
    package struct Times: Sendable {
        /// Its first prefill step began.
        package var prefillStarted: Milliseconds?
        /// Milliseconds in prefill steps. A preempted request is prefilled again: that counts as well.
        package var prefillMS: Int64 = 0
        /// Its first token came.
        package var firstToken: Milliseconds?
        /// Its last token so far came.
        package var lastToken: Milliseconds?
    }

    /// What is generated for.
    package let request: PreparedRequest
    private var text: GeneratedText
    /// Tokens so far, those that end the text included.
    package private(set) var tokens: [SampledToken] = []
    /// Tokens of the prompt that were in the KV cache when it joined the batch first.
    package private(set) var cachedTokens = 0
    /// When things happened.
    package private(set) var times = Times()
    /// It is in a batch slot.
    package private(set) var isRunning = false
    private var finishReason: FinishReason?

    /// A generation without tokens, whose text `text` is to become.
    package init(_ request: PreparedRequest, text: GeneratedText) {
        self.request = request
        self.text = text
    }

    /// It has lost its batch slot to another request; it waits for another and goes on by itself.
    package mutating func notePreempted() { isRunning = false }

    /// Takes what a step gave it.
    package mutating func take(_ update: RequestUpdate, in step: EngineStep) -> Step {
        // What a preempted request finds again in the cache is not the user's gain.
        if tokens.isEmpty { cachedTokens = update.cachedTokens }
        let token: SampledToken
        switch update.output {
        case .bad(let bad): return .bad(bad)
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

    /// What it has become, now that it has ended.
    package mutating func finish() -> FinishedGeneration {
        let text = text.finish()
        let end: FinishedGeneration.End =
            // The end of a cut character may complete a stop string.
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
        /// The model's own end-of-generation token.
        case endOfGeneration
        /// One of the request's stop tokens.
        case stopToken(Int32)
        /// One of the request's stop strings, which is not part of the text.
        case stopString(String)
        /// It was as long as it may be.
        case length
    }

    /// The text.
    package let text: String
    /// Why it ended.
    package let end: End
}

extension FinishReason {
    /// The last token is not part of the text.
    fileprivate var endsBeforeItsToken: Bool {
        switch self {
        case .endOfGeneration, .stop: true
        case .length: false
        }
    }
}
