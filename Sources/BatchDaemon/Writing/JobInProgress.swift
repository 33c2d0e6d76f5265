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
    /// It is in a batch slot.
    private(set) var isRunning = false

    init(_ job: PreparedJob, detokenizer: Detokenizer) {
        self.job = job
        text = GeneratedText(detokenizer: detokenizer, stopStrings: job.stopStrings)
    }

    /// Its batch.
    var batch: BatchID { job.ticket.batch }

    /// Tokens generated so far.
    var generatedTokens: Int { tokens.count }

    /// Tokens that it may generate at most.
    var mostTokens: Int { job.sampling.maxTokens }

    /// Notes that it has lost its batch slot to another.
    mutating func notePreempted() {
        isRunning = false
    }

    /// The request's field that a refusal is about.
    func field(of refusal: RequestRefusal) -> String { refusal.field ?? job.promptField }

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
        isRunning = true
        tokens.append(token)
        return isText && text.append(token, mayStop: tokens.count > job.sampling.minTokens)
    }

    /// The job's end, as it is written to the store.
    ///
    /// - Parameter reason: why the engine ended it; nil where it was its text that did.
    mutating func completion(_ reason: FinishReason?, at now: Milliseconds) -> JobCompletion {
        let text = text.finish()
        // The end of a cut character may complete a stop string.
        let stopReason = self.text.stopString.map { StopReason.string($0) } ?? reason?.stopToken.map { .token($0) }
        let isCut = reason == .length && stopReason == nil
        let generation = Generation(
            text: text, finishReason: isCut ? "length" : "stop", stopReason: stopReason,
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

extension FinishReason {
    /// The request's stop token that it was.
    fileprivate var stopToken: Int32? {
        if case .stop(let token) = self { token } else { nil }
    }
}
