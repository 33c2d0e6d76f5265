// How online requests end, in the program's metrics.

import CoreMetrics
import Platform
import Runtime

/// Counts the online requests of a model.
final class OnlineMetrics: Sendable {
    /// The histograms of their times and sizes.
    let requests: RequestMetrics

    init(model: String) {
        requests = RequestMetrics(of: .online, model: model)
        // Shown as 0 from the start, as Prometheus sees no growth in a counter's first value.
        for reason in ["stop", "length"] { _ = ended("succeeded", ("finish_reason", reason)) }
    }

    /// Counts a request that has ended.
    func count(_ event: OnlineEvent) {
        switch event {
        case .text: break
        case .finished(let finished):
            let reason = finishReasonLabel(finished.choices[0].end.finishReason)
            ended("succeeded", ("finish_reason", reason)).increment()
        case .failed(let failure): ended("failed", ("error_code", errorCodeLabel(failure.code))).increment()
        }
    }

    /// Counts a request whose caller has left.
    func countCancelled() { ended("cancelled").increment() }

    /// Records the times and the size of a request that has succeeded.
    func note(_ finished: FinishedRequest, _ progress: RequestInProgress, at now: Milliseconds) {
        let times = progress.times
        let submitted = progress.submitted ?? now
        requests.noteEnd(
            queuedMS: times.queuedMS(since: submitted, endingAt: now), prefillMS: times.prefillMS,
            decodeMS: times.decodeMS(endingAt: now), totalMS: max(0, now - submitted),
            promptTokens: finished.promptTokens, generatedTokens: finished.completionTokens)
    }

    private func ended(_ result: String, _ more: (String, String)...) -> Counter {
        Counter(
            label: "ttbatch_online_requests_total",
            dimensions: [("result", result)] + more + [("model", requests.model)])
    }
}

extension OnlineFailure {
    /// A word for programs, as failed jobs have one.
    fileprivate var code: String {
        switch self {
        case .busy: "rate_limit_exceeded"
        case .refused(let refusal): refusal.code
        case .noToken: "no_token_allowed"
        case .device: "device_failed"
        case .unloaded: "model_unavailable"
        }
    }
}
