// The families of metrics: their names, kinds, labels and words, all in one place.
//
// Names follow Prometheus' conventions: base units, `_total` for counters, no colons. A label's values are few: a batch, a
// job or a caller is never one.

/// A family of metrics.
package struct MetricFamily: Sendable {
    /// What its samples are.
    package enum Kind: Sendable, Equatable {
        /// Only grows, from 0 at the daemon's start.
        case counter
        /// A state.
        case gauge
        /// Counts of values up to each of these bounds, which grow.
        case histogram([Double])
    }

    /// Its name, with `_total` if it is a counter.
    package let name: String
    /// What its samples are.
    package let kind: Kind
    /// The names that its samples' labels may have.
    package let labels: [String]
    /// What it tells, for people.
    package let help: String

    private init(_ name: String, _ kind: Kind, _ labels: [String], _ help: String) {
        self.name = name
        self.kind = kind
        self.labels = labels
        self.help = help
    }

    private static func counter(_ name: String, by labels: [String] = [], _ help: String) -> MetricFamily {
        MetricFamily(name, .counter, labels, help)
    }

    private static func gauge(_ name: String, by labels: [String] = [], _ help: String) -> MetricFamily {
        MetricFamily(name, .gauge, labels, help)
    }

    private static func histogram(
        _ name: String, _ bounds: [Double], by labels: [String] = [], _ help: String
    ) -> MetricFamily {
        MetricFamily(name, .histogram(bounds), labels, help)
    }
}

// MARK: - The table

extension MetricFamily {
    /// All families that the daemon keeps.
    package static let all = daemon + engine + queue + requests + store + devices + http

    private static let daemon = [
        gauge("ttbatch_build_info", by: ["version"], "The program's version; the value is always 1."),
        gauge("ttbatch_up_incarnation", "Number of this run of the daemon, as in the job database."),
    ]

    private static let ofEngine = ["model", "replica"]

    private static let engine = [
        counter("ttbatch_engine_prompt_tokens_total", by: ofEngine, "Tokens prefilled, again after a preemption."),
        counter(
            "ttbatch_engine_generation_tokens_total", by: ofEngine, "Tokens generated, for batches and online requests."
        ),
        counter(
            "ttbatch_engine_prefix_cache_query_tokens_total", by: ofEngine,
            "Tokens of prompts that were looked up in the prefix cache."),
        counter(
            "ttbatch_engine_prefix_cache_hit_tokens_total", by: ofEngine,
            "Tokens of prompts that were in the prefix cache, and were not prefilled."),
        counter(
            "ttbatch_engine_steps_total", by: ofEngine + ["kind"], "Steps of the device by kind: prefill or decode."),
        counter(
            "ttbatch_engine_decode_rows_total", by: ofEngine,
            "Rows of all decode steps; divided by decode steps and slots it is the occupancy."),
        counter(
            "ttbatch_engine_preemptions_total", by: ofEngine,
            "Requests that lost their KV blocks and are prefilled again."),
        gauge("ttbatch_engine_slots", by: ofEngine, "Rows of the device batch."),
        gauge("ttbatch_engine_rows_running", by: ofEngine, "Requests in the device batch."),
        gauge("ttbatch_engine_requests_waiting", by: ofEngine, "Requests that wait for a slot or for KV blocks."),
        gauge("ttbatch_engine_kv_blocks", by: ofEngine + ["state"], "Blocks of the KV cache: used, and total."),
        gauge("ttbatch_engine_kv_block_tokens", by: ofEngine, "Tokens that a block of the KV cache holds."),
    ]

    private static let queue = [
        gauge(
            "ttbatch_jobs", by: ["state"],
            "Jobs in the database by state; delayed ones are pending and wait for another attempt."),
        gauge("ttbatch_batches", by: ["status"], "Batches in the database by status."),
        gauge(
            "ttbatch_oldest_pending_seconds", by: ["priority"],
            "Age of the oldest batch with jobs to claim that is not paused, by the batch's priority."),
        gauge("ttbatch_queue_paused", "1 while the whole queue is paused, else 0."),
        counter(
            "ttbatch_jobs_finished_total", by: ["result", "finish_reason", "error_code", "model"],
            "Jobs whose end the daemon has stored: succeeded with a finish_reason, failed with an error_code, or expired."
        ),
        counter(
            "ttbatch_online_requests_total", by: ["result", "finish_reason", "error_code", "model"],
            "Online requests that ended: succeeded with a finish_reason, failed with an error_code, or cancelled."),
    ]

    private static let ofRequest = ["model", "source"]

    private static let requests = [
        histogram(
            "ttbatch_job_queued_seconds", requestSeconds, by: ofRequest,
            "From the enqueue, or the arrival of an online request, to its first prefill."),
        histogram("ttbatch_job_prefill_seconds", requestSeconds, by: ofRequest, "Time in prefill steps."),
        histogram("ttbatch_job_decode_seconds", requestSeconds, by: ofRequest, "From the first token to the last."),
        histogram(
            "ttbatch_job_total_seconds", requestSeconds, by: ofRequest,
            "From the enqueue, or the arrival of an online request, to its end."),
        histogram(
            "ttbatch_time_to_first_token_seconds", firstTokenSeconds, by: ofRequest,
            "From the submission to the engine to the first token of a text."),
        histogram(
            "ttbatch_inter_token_seconds", interTokenSeconds, by: ofRequest, "Between two tokens of a text."),
        histogram("ttbatch_job_prompt_tokens", tokens, by: ofRequest, "Tokens of the prompts of a job that succeeded."),
        histogram(
            "ttbatch_job_generated_tokens", tokens, by: ofRequest, "Tokens that a job that succeeded has generated."),
    ]

    private static let store = [
        histogram("ttbatch_store_commit_seconds", commitSeconds, "Time of a commit of finished jobs."),
        gauge("ttbatch_store_wal_bytes", "Size of the database's write-ahead log."),
        counter(
            "ttbatch_store_retries_total",
            "Writes and reads that are tried again since the disk was full or the database busy."),
    ]

    private static let devices = [
        gauge(
            "ttbatch_device_info", by: ["replica", "device", "summary"],
            "The opened device of each replica; the value is always 1."),
        counter("ttbatch_device_failures_total", "Faults of the device, in steps and while it was opened."),
        counter("ttbatch_bridge_restarts_total", "Bridge processes that were started in place of one that had failed."),
    ]

    private static let http = [
        counter(
            "ttbatch_http_requests_total", by: ["route", "method", "status"],
            "Requests to the server that were answered."),
        histogram(
            "ttbatch_http_request_seconds", httpSeconds, by: ["route"],
            "Time to the end of an answer, streams included."),
    ]
}

// MARK: - Bounds

extension MetricFamily {
    /// vLLM's for requests, with finer ones for small models and coarser ones for a night's batches.
    private static let requestSeconds =
        [0.01, 0.025, 0.05, 0.1, 0.2]
        + [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680]
        + [15360, 30720, 61440]

    /// vLLM's.
    private static let firstTokenSeconds = [
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640,
        2560,
    ]

    /// vLLM's, with finer ones for small models.
    private static let interTokenSeconds =
        [0.001, 0.0025, 0.005]
        + [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80]

    /// 1, 2, 5, 10, … tokens.
    private static let tokens = [1.0, 10, 100, 1000, 10_000, 100_000].flatMap { [$0, 2 * $0, 5 * $0] }

    private static let commitSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

    private static let httpSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600]
}
