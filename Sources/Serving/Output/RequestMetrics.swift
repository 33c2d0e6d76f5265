// How long requests take and how large they are, in the program's metrics. Clients of an engine share the families.

import CoreMetrics
import ModelFiles
package import Runtime

/// Histograms of the requests that one kind of client makes of one model.
package final class RequestMetrics: Sendable {
    /// Whose requests they are.
    package enum Source: String, Sendable {
        case batch, online
    }

    /// The model, as metrics name it.
    package let model: String
    private let firstToken: CoreMetrics.Timer
    private let nextToken: CoreMetrics.Timer
    private let queued: CoreMetrics.Timer
    private let prefill: CoreMetrics.Timer
    private let decode: CoreMetrics.Timer
    private let total: CoreMetrics.Timer
    private let promptTokens: Recorder
    private let generatedTokens: Recorder

    /// The histograms of `source`.
    package init(of source: Source, model name: String) {
        let model = ModelCatalogue.shown(name)
        let own = [("model", model), ("source", source.rawValue)]
        func seconds(_ name: String) -> CoreMetrics.Timer {
            CoreMetrics.Timer(label: "ttbatch_\(name)_seconds", dimensions: own)
        }
        func tokens(_ name: String) -> Recorder { Recorder(label: "ttbatch_job_\(name)_tokens", dimensions: own) }
        self.model = model
        firstToken = seconds("time_to_first_token")
        nextToken = seconds("inter_token")
        queued = seconds("job_queued")
        prefill = seconds("job_prefill")
        decode = seconds("job_decode")
        total = seconds("job_total")
        promptTokens = tokens("prompt")
        generatedTokens = tokens("generated")
    }

    /// Records a token at `now`; the one before it came at `last`, or it is the first one of a text that was submitted
    /// then.
    func noteToken(at now: Milliseconds, after last: Milliseconds, isFirst: Bool) {
        // The wall clock may have been set back meanwhile.
        (isFirst ? firstToken : nextToken).recordMilliseconds(max(0, now - last))
    }

    /// Records a request that has succeeded. Times are in milliseconds.
    package func noteEnd(
        queuedMS: Int64, prefillMS: Int64, decodeMS: Int64, totalMS: Int64, promptTokens: Int, generatedTokens: Int
    ) {
        queued.recordMilliseconds(queuedMS)
        prefill.recordMilliseconds(prefillMS)
        decode.recordMilliseconds(decodeMS)
        total.recordMilliseconds(totalMS)
        self.promptTokens.record(promptTokens)
        self.generatedTokens.record(generatedTokens)
    }
}

extension RequestTimes {
    /// Milliseconds from the first token to the last; 0 if there is none. The wall clock may have been set back.
    package func decodeMS(endingAt now: Milliseconds) -> Int64 { max(0, (lastToken ?? now) - (firstToken ?? now)) }

    /// Milliseconds from `created` to the first prefill.
    package func queuedMS(since created: Milliseconds, endingAt now: Milliseconds) -> Int64 {
        max(0, (prefillStarted ?? now) - created)
    }
}
