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
    /// Its request so far.
    var progress: RequestInProgress

    /// The request's field that a refusal refers to.
    func field(of refusal: RequestRefusal) -> String { refusal.field ?? progress.request.promptField }

    /// The error of a request that excludes every token.
    func noTokenError(_ reason: String) -> JobError {
        JobError(
            code: JobError.noTokenAllowed,
            message: "after \(progress.tokenCount) tokens the request allows no further one: \(reason). "
                + "Loosen its grammar, allowed_token_ids or bad_words",
            status: 400)
    }

    /// The job's completion by `system`, as written to the store.
    mutating func completion(by system: SystemRecord?, at now: Milliseconds) -> JobCompletion {
        let finished = progress.finish()
        let times = progress.times
        // The wall clock may have been set back meanwhile, or `created` may be from another machine's clock.
        let timings = JobTimings(
            queuedMS: times.queuedMS(since: created, endingAt: now), prefillMS: times.prefillMS,
            decodeMS: times.decodeMS(endingAt: now), totalMS: max(0, now - created))
        return JobCompletion(
            ticket: ticket,
            outcome: .succeeded(
                Generation(
                    finished.choices.map { Choice($0) },
                    seed: progress.request.seed, fingerprint: system?.fingerprint)),
            usage: TokenUsage(
                promptTokens: finished.promptTokens, cachedTokens: finished.cachedTokens,
                completionTokens: finished.completionTokens),
            timings: timings)
    }
}

extension Choice {
    /// A finished text, as written to the store.
    fileprivate init(_ finished: FinishedChoice) {
        self.init(
            text: finished.answer.text, reasoning: finished.answer.reasoning,
            toolCalls: finished.answer.toolCallsJSON, confidence: finished.confidence, scores: finished.scores,
            unread: finished.answer.unread,
            finishReason: finished.end.finishReason,
            isComplete: finished.isComplete,
            stopReason: StopReason(finished.end), promptTokenIDs: finished.promptTokenIDs, tokenIDs: finished.tokenIDs,
            logprobs: finished.logprobs, promptLogprobs: finished.promptLogprobs)
    }
}

extension StopReason {
    /// The stop string or stop token of the request that ended the text; nil if it ended otherwise.
    fileprivate init?(_ end: FinishedChoice.End) {
        if let string = end.stopString {
            self = .string(string)
        } else if let token = end.stopToken {
            self = .token(token)
        } else {
            return nil
        }
    }
}
