// How jobs end, in the program's metrics. Only what the store has is counted, so that the counters are those of the store.

import CoreMetrics
import Serving
import StoreContract

/// Counts the ends of jobs.
struct JobMetrics {
    /// The histograms of the model that runs the jobs; nil if none does.
    private let requests: RequestMetrics?

    /// Counts jobs of a model, or such that no model has run.
    init(_ requests: RequestMetrics? = nil) {
        self.requests = requests
        // Shown as 0 from the start, as Prometheus sees no growth in a counter's first value.
        if requests != nil {
            for reason in ["stop", "length"] { _ = ended("succeeded", [("finish_reason", reason)]) }
        }
    }

    /// Counts completions that the store has taken: all but the late ones.
    func count(_ completions: [JobCompletion], _ report: FinishReport) {
        let late = Set(report.stale)
        for completion in completions where !late.contains(completion.ticket) { count(completion) }
    }

    private func count(_ completion: JobCompletion) {
        switch completion.outcome {
        case .succeeded(let generation):
            ended("succeeded", [("finish_reason", finishReasonLabel(generation.choices[0].finishReason))]).increment()
            guard let requests, let timings = completion.timings else { return }
            requests.noteEnd(
                queuedMS: timings.queuedMS, prefillMS: timings.prefillMS, decodeMS: timings.decodeMS,
                totalMS: timings.totalMS, promptTokens: completion.usage.promptTokens,
                generatedTokens: completion.usage.completionTokens)
        case .failed(let error): ended("failed", [("error_code", errorCodeLabel(error.code))]).increment()
        case .expired: ended("expired").increment()
        }
    }

    /// Counts jobs that failed because they were released too often.
    func count(failed jobs: Int, because reason: ReleaseReason) {
        let code: String? =
            switch reason {
            case .stopping: nil
            case .crash: JobError.crashedDaemonRepeatedly
            case .badOutput: JobError.badOutput
            }
        if let code, jobs > 0 { ended("failed", [("error_code", code)]).increment(by: jobs) }
    }

    /// Counts jobs that expired.
    func count(expired jobs: Int64) {
        if jobs > 0 { ended("expired").increment(by: jobs) }
    }

    private func ended(_ result: String, _ more: [(String, String)] = []) -> Counter {
        let model = requests.map { [("model", $0.model)] } ?? []
        return Counter(label: "ttbatch_jobs_finished_total", dimensions: [("result", result)] + more + model)
    }
}
