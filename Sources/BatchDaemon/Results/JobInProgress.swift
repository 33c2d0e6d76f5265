// What the writer knows of a job between its admission and its end.

import Platform
import Prompts
import Runtime
import Serving
import StoreContract

/// A job whose tokens are coming in.
struct JobInProgress {
    /// What finishes or releases it.
    let ticket: ClaimTicket
    /// When it was enqueued.
    let created: Milliseconds
    /// What was generated so far.
    var generation: GenerationInProgress

    /// The request's field that a refusal is about.
    func field(of refusal: RequestRefusal) -> String { refusal.field ?? generation.request.promptField }

    /// The job's end, as it is written to the store.
    mutating func completion(at now: Milliseconds) -> JobCompletion {
        let finished = generation.finish()
        let request = generation.request
        let times = generation.times
        // The wall clock may have been set back meanwhile, and another machine's may have stamped the job.
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
                    tokenIDs: wantsTokens ? generation.tokens.map(\.id) : nil)),
            usage: TokenUsage(
                promptTokens: request.promptTokens.count, cachedTokens: generation.cachedTokens,
                completionTokens: generation.tokens.count),
            timings: timings)
    }
}

extension StopReason {
    /// What of the request ended the text, if it was the request.
    fileprivate init?(_ end: FinishedGeneration.End) {
        switch end {
        case .stopString(let string): self = .string(string)
        case .stopToken(let token): self = .token(token)
        case .endOfGeneration, .length: return nil
        }
    }
}
