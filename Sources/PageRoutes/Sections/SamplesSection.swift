// A sample of a batch's results, and how its times are distributed. It stands still while somebody reads it.

import Runtime
import StoreContract

struct SamplesSection: Sendable, Hashable {
    struct Result: Sendable, Hashable {
        /// `first`, `last`, `longest` or `random`.
        let why: String
        let customID: String
        let line: String
        let tokens: String
        let time: String?
        /// `ok`, `wait`, `bad` or `gone`: how its end is coloured.
        let kind: String
        /// `stop`, `length`, or an error's code.
        let end: String
        let text: String
        let isCut: Bool
        let reasoning: String?
        let prompt: String?
    }

    /// The most jobs from whose times the histograms are made.
    static let timed = 400
    /// The most characters of a text.
    static let characters = 4_000

    let histograms: [Histogram]
    let results: [Result]
    let isEmpty: Bool
    let scope: String
    let taken: ShownTime
    let batch: String
    /// The number of the next sample.
    let next: String
    let showsPrompts: Bool

    init(
        _ batch: BatchSummary, jobs: [SampledJob], results: [(why: String, result: JobResult, prompt: String?)],
        view: PageView, showsPrompts: Bool, now: Milliseconds
    ) {
        histograms = [
            Histogram("Queued", note: "from the enqueue to the prefill", jobs.map(\.timings.queuedMS)),
            Histogram("Prefill", note: "in prefill steps", jobs.map(\.timings.prefillMS)),
            Histogram("Decode", note: "from the first token to the last", jobs.map(\.timings.decodeMS)),
        ].compactMap(\.self)
        self.results = results.map { Result($0.why, $0.result, prompt: $0.prompt) }
        isEmpty = self.results.isEmpty
        scope =
            batch.counts.finished > Int64(jobs.count)
            ? "\(PageWords.count(Int64(jobs.count), "job")) spread evenly over \(PageWords.count(batch.counts.finished))"
            : "all jobs that ran"
        taken = ShownTime(now, now: now)
        self.batch = batch.id.description
        next = "\(view.sample + 1)"
        self.showsPrompts = showsPrompts
    }

    /// The places in the order of completion of the results to show, each once.
    ///
    /// - Parameters:
    ///   - rejected: lines that never ran; they come first in that order.
    ///   - seed: another one gives others at random.
    static func places(
        of jobs: [SampledJob], rejected: Int64, finished: Int64, seed: Int
    ) -> [(why: String, place: Int64)] {
        guard finished > rejected else { return [] }
        var places: [(why: String, place: Int64)] = [("first", rejected + 1), ("last", finished)]
        let longest = jobs.filter { $0.state == .succeeded }.max { left, right in
            (left.usage.completionTokens, right.finishSequence) < (right.usage.completionTokens, left.finishSequence)
        }
        if let longest { places.append(("longest of the sample", longest.finishSequence)) }
        var state = UInt64(truncatingIfNeeded: finished) &+ UInt64(seed) &* 0x9e37_79b9_7f4a_7c15
        for _ in 0..<5 {
            // SplitMix64.
            state &+= 0x9e37_79b9_7f4a_7c15
            var value = state
            value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
            value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
            value ^= value >> 31
            places.append(("at random", rejected + 1 + Int64(value % UInt64(finished - rejected))))
        }
        var seen: Set<Int64> = []
        return places.filter { seen.insert($0.place).inserted }
    }
}

extension SamplesSection.Result {
    fileprivate init(_ why: String, _ result: JobResult, prompt: String?) {
        self.why = why
        customID = result.customID.map { String($0.prefix(120)) } ?? "–"
        line = PageWords.count(result.line)
        tokens =
            "\(PageWords.count(Int64(result.usage.promptTokens))) + "
            + "\(PageWords.count(Int64(result.usage.completionTokens))) tokens"
        time = result.timings.map { PageWords.duration($0.prefillMS + $0.decodeMS) }
        var whole = ""
        var reasoning: String?
        switch result.outcome {
        case .succeeded(let generation):
            let choice = generation.choices[0]
            end = choice.finishReason
            // A text that was cut is worth a look.
            kind = end == "length" ? "wait" : "ok"
            whole = choice.text.isEmpty ? choice.toolCalls ?? choice.scores ?? "" : choice.text
            reasoning = choice.reasoning
        case .failed(let error):
            kind = "bad"
            end = error.code
            whole = PageWords.message(error.message)
        case .cancelled, .expired, .unfinished:
            kind = "gone"
            end = result.state.rawValue
        }
        text = String(whole.prefix(SamplesSection.characters))
        isCut = whole.utf8.count > text.utf8.count
        self.reasoning = reasoning.map { String($0.prefix(SamplesSection.characters)) }
        self.prompt = prompt.map { String($0.prefix(SamplesSection.characters)) }
    }
}
