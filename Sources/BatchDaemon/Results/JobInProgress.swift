// A job between its admission and its end, for the writer.

import Platform
import Prompts
import Runtime
import Serving
import StoreContract

/// A job in flight.
struct JobInProgress {
    /// The ticket that finishes or releases it.
    let ticket: ClaimTicket
    /// When it was enqueued.
    let created: Milliseconds
    /// The generation so far.
    var generation: GenerationInProgress

    /// The request's field that a refusal refers to.
    func field(of refusal: RequestRefusal) -> String { refusal.field ?? generation.request.promptField }

    /// The error of a request that excludes every token.
    var noTokenError: JobError {
        JobError(
            code: JobError.noTokenAllowed,
            message: "after \(generation.tokens.count) tokens, what the request allows leaves no token: "
                + "loosen allowed_token_ids or bad_words",
            status: 400)
    }

    /// The job's completion, as written to the store.
    mutating func completion(at now: Milliseconds) -> JobCompletion {
        let finished = generation.finish()
        let request = generation.request
        let times = generation.times
        // The wall clock may have been set back meanwhile, or `created` may be from another machine's clock.
        let timings = JobTimings(
            queuedMS: max(0, (times.prefillStarted ?? now) - created), prefillMS: times.prefillMS,
            decodeMS: max(0, (times.lastToken ?? now) - (times.firstToken ?? now)), totalMS: max(0, now - created))
        let wantsTokens = request.returnTokenIDs
        return JobCompletion(
            ticket: ticket,
            outcome: .succeeded(
                Generation(
                    text: finished.text, finishReason: finished.end == .length ? "length" : "stop",
                    stopReason: StopReason(finished.end), promptTokenIDs: wantsTokens ? request.promptTokens : nil,
                    tokenIDs: wantsTokens ? generation.tokenIDs : nil)),
            usage: TokenUsage(
                promptTokens: request.promptTokens.count, cachedTokens: generation.cachedTokens,
                completionTokens: generation.tokens.count),
            timings: timings)
    }
}

extension StopReason {
    /// The stop string or stop token of the request that ended the text; nil if it ended otherwise.
    fileprivate init?(_ end: FinishedGeneration.End) {
        switch end {
        case .stopString(let string): self = .string(string)
        case .stopToken(let token): self = .token(token)
        case .endOfGeneration, .length: return nil
        }
    }
}
