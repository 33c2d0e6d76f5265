// What the writer knows of a job between its admission and its end.

import JobStore
import TTEngine
import TTPlatform
import Tokenizer

/// A job whose tokens are coming in.
struct JobInProgress {
    private let job: PreparedJob
    private var text: GeneratedText
    private var tokens: [Int32] = []
    private var cachedTokens = 0
    private var prefillStarted: Milliseconds?
    private var prefillMS: Int64 = 0
    private var firstToken: Milliseconds?
    private var lastToken: Milliseconds?

    init(_ job: PreparedJob, detokenizer: Detokenizer) {
        self.job = job
        text = GeneratedText(detokenizer: detokenizer, stopStrings: job.stopStrings)
    }

    /// Notes how much of the prompt was in the KV cache; what a preempted job finds again is not the user's gain.
    mutating func noteCached(_ count: Int) {
        if tokens.isEmpty { cachedTokens = count }
    }

    /// Takes a token that a step gave; true when the text has reached a stop string.
    mutating func take(_ token: Int32, isText: Bool, in step: TimedStep) -> Bool {
        if step.kind == .prefill {
            // A preempted job is prefilled again: that time counts as prefill as well.
            if prefillStarted == nil { prefillStarted = step.started }
            prefillMS += max(0, step.ended - step.started)
        }
        if firstToken == nil { firstToken = step.ended }
        lastToken = step.ended
        tokens.append(token)
        return isText && text.append(token, mayStop: tokens.count > job.sampling.minTokens)
    }

    /// The job's end, as it is written to the store.
    mutating func completion(finishReason: String, at now: Milliseconds) -> JobCompletion {
        let generation = Generation(
            text: text.finish(), finishReason: finishReason,
            promptTokenIDs: job.returnTokenIDs ? job.promptTokens : nil,
            tokenIDs: job.returnTokenIDs ? tokens : nil)
        // The wall clock may have been set back meanwhile, and another machine's may have stamped the job.
        let timings = JobTimings(
            queuedMS: max(0, (prefillStarted ?? now) - job.created), prefillMS: prefillMS,
            decodeMS: max(0, (lastToken ?? now) - (firstToken ?? now)), totalMS: max(0, now - job.created))
        return JobCompletion(
            ticket: job.ticket, outcome: .succeeded(generation),
            usage: TokenUsage(
                promptTokens: job.promptTokens.count, cachedTokens: cachedTokens, completionTokens: tokens.count),
            timings: timings)
    }
}
