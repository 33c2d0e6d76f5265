// Metrics in words and as JSON.

package import JSONText
import Runtime
package import StoreContract
import Terminal

package enum MetricsDescription {
    /// The metrics of a period, one line per fact.
    package static func lines(_ metrics: MetricsSummary) -> [String] {
        definitionLines([
            (
                "measured",
                "\(Quantity.duration(milliseconds: metrics.coveredMS)) in \(metrics.intervals) interval\(metrics.intervals == 1 ? "" : "s")"
            ),
            (
                "device",
                "\(metrics.promptTokens) tokens prefilled in \(metrics.prefillSteps) steps, "
                    + "\(metrics.generatedTokens) generated, \(metrics.decodeSteps) decode steps"
            ),
            (
                "shared",
                "\(metrics.cachedTokens) prompt tokens were in the KV cache already "
                    + "(\(Quantity.share(Double(metrics.cachedTokens), of: Double(metrics.cachedTokens + metrics.promptTokens))))"
            ),
            ("throughput", "\(metrics.generatedTokensPerSecond.map(Quantity.rate) ?? "-") generated tokens/s"),
            ("occupancy", "\(metrics.occupancy.map { Quantity.share($0, of: 1) } ?? "-") of the slots in decode steps"),
            (
                "KV cache",
                "\(Quantity.share(metrics.kvBlocksMean, of: Double(metrics.kvBlocksTotal))) of "
                    + "\(metrics.kvBlocksTotal) blocks in use on average, "
                    + "\(Quantity.share(Double(metrics.kvBlocksMax), of: Double(metrics.kvBlocksTotal))) at most"
            ),
            ("preemptions", "\(metrics.preemptions)"),
            ("jobs", "\(metrics.jobsSucceeded) succeeded, \(metrics.jobsFailed) failed"),
        ])
    }

    package static func json(_ interval: MetricsInterval) -> JSONValue {
        [
            "incarnation": .int(interval.incarnation.rawValue), "start_ms": .int(interval.start.rawValue),
            "end_ms": .int(interval.end.rawValue), "prompt_tokens": .int(interval.promptTokens),
            "cached_tokens": .int(interval.cachedTokens),
            "generated_tokens": .int(interval.generatedTokens), "prefill_steps": .int(interval.prefillSteps),
            "decode_steps": .int(interval.decodeSteps), "decode_rows": .int(interval.decodeRows),
            "preemptions": .int(interval.preemptions), "slots": .int(interval.slots),
            "kv_blocks_mean": .double(interval.kvBlocksMean),
            "kv_blocks_max": .int(interval.kvBlocksMax), "kv_blocks_total": .int(interval.kvBlocksTotal),
            "queue_depth": .int(interval.queueDepth), "jobs_succeeded": .int(interval.jobsSucceeded),
            "jobs_failed": .int(interval.jobsFailed),
        ]
    }
}
