// Metrics of intervals, and sums over them, from the columns that all stores select.

import Runtime

extension MetricsInterval {
    /// The columns of `metrics` that `init(_:)` reads.
    package static let columns = """
        incarnation, start_ms, end_ms, prompt_tokens, generated_tokens, prefill_steps, decode_steps, decode_rows, slots,
        kv_blocks_mean, kv_blocks_max, kv_blocks_total, queue_depth, jobs_succeeded, jobs_failed, preemptions, cached_tokens
        """

    /// Reads `columns`.
    package init(_ row: some StoredRow) {
        self.init(incarnation: row.id(0), start: row.id(1), end: row.id(2))
        promptTokens = row.int64(3)
        generatedTokens = row.int64(4)
        prefillSteps = row.int64(5)
        decodeSteps = row.int64(6)
        decodeRows = row.int64(7)
        slots = row.int64(8)
        kvBlocksMean = row.double(9)
        kvBlocksMax = row.int64(10)
        kvBlocksTotal = row.int64(11)
        queueDepth = row.int64(12)
        jobsSucceeded = row.int64(13)
        jobsFailed = row.int64(14)
        preemptions = row.int64(15)
        cachedTokens = row.int64(16)
    }
}

extension MetricsSummary {
    /// Reads columns in this order: intervals, covered time, tokens of prompts, generated ones, steps of prefill, of decode, rows of
    /// decode, their capacity, blocks (mean, largest, all), jobs that succeeded, that failed, preemptions, cached tokens.
    package init(_ row: some StoredRow) {
        self.init(
            intervals: row.int64(0), coveredMS: row.int64(1), promptTokens: row.int64(2), cachedTokens: row.int64(14),
            generatedTokens: row.int64(3), prefillSteps: row.int64(4), decodeSteps: row.int64(5),
            decodeRows: row.int64(6), decodeRowCapacity: row.int64(7), preemptions: row.int64(13),
            kvBlocksMean: row.double(8), kvBlocksMax: row.int64(9), kvBlocksTotal: row.int64(10),
            jobsSucceeded: row.int64(11), jobsFailed: row.int64(12))
    }
}
