// A batch as queries show it, from the columns that all stores select.

import Runtime

extension BatchSummary {
    /// The columns that `init(_:status:)` reads: of `batches b` what a person gave, and of `progress p` what daemons last said.
    ///
    /// - Parameters:
    ///   - counters: the table with the status and the counters.
    ///   - running: an expression for the number of jobs in flight.
    ///   - trouble: expressions for failures in a row with the model, the last one's reason, and the time of the next attempt.
    package static func columns(counters c: String, running: String, trouble: String) -> String {
        """
        b.id, b.name, b.endpoint, b.model, \(c).status, b.retry_of, b.created_ms, \(c).started_ms, \(c).finished_ms,
        \(c).total, \(c).rejected, \(c).succeeded, \(c).failed, \(c).cancelled, \(c).expired,
        \(c).prompt_tokens, \(c).completion_tokens, \(c).timed_jobs, \(c).queued_ms, \(c).prefill_ms, \(c).decode_ms,
        \(c).total_ms, \(running), \(c).cached_tokens, b.unique_name, b.priority, b.deadline_ms, b.paused_ms, \(trouble),
        p.updated_ms, p.generated_tokens, p.tokens_per_second, p.running, p.running_tokens, p.running_limit,
        p.token_ms, p.token_ms_growth, b.model_name,
        b.tenant, b.input_file, b.completion_window, b.metadata, b.input_errors, b.output_file, b.error_file,
        b.output_expires_ms
        """
    }

    /// The columns' position of the status.
    package static let statusColumn: Int32 = 4

    /// Reads `columns`.
    package init(_ row: some StoredRow, status: BatchStatus) {
        let running = row.int64(22)
        let ended = row.int64(11) + row.int64(12) + row.int64(13) + row.int64(14)
        let trouble = row.optionalText(29).map {
            ModelTrouble(times: row.int(28), reason: $0, until: row.optionalID(30))
        }
        self.init(
            id: row.id(0), name: row.text(1), uniqueName: row.optionalText(24), endpoint: row.optionalText(2),
            model: row.optionalText(3), modelName: row.optionalText(39), status: status,
            priority: row.priority(25), deadline: row.optionalID(26), paused: row.optionalID(27),
            modelTrouble: trouble, retryOf: row.optionalID(5), created: row.id(6), started: row.optionalID(7),
            finished: row.optionalID(8),
            counts: JobCounts(
                total: row.int64(9), rejected: row.int64(10), pending: row.int64(9) - ended - running,
                running: running, succeeded: row.int64(11), failed: row.int64(12), cancelled: row.int64(13),
                expired: row.int64(14)),
            usage: TokenUsage(promptTokens: row.int(15), cachedTokens: row.int(23), completionTokens: row.int(16)),
            timedJobs: row.int64(17),
            timings: JobTimings(
                queuedMS: row.int64(18), prefillMS: row.int64(19), decodeMS: row.int64(20), totalMS: row.int64(21)),
            progress: Self.progress(row), tenant: row.optionalText(40).map { Tenant(rawValue: $0) },
            submission: Self.submission(row), inputErrors: row.optionalText(44),
            files: ResultFiles(
                output: row.optionalText(45).flatMap { FileID(rawValue: $0) },
                errors: row.optionalText(46).flatMap { FileID(rawValue: $0) }, expires: row.optionalID(47)))
    }

    private static func submission(_ row: some StoredRow) -> Submission? {
        guard let file = row.optionalText(41).flatMap({ FileID(rawValue: $0) }) else { return nil }
        return Submission(
            inputFile: file, endpoint: row.text(2), window: row.text(42), metadata: row.optionalText(43))
    }

    private static func progress(_ row: some StoredRow) -> BatchProgress? {
        guard !row.isNull(31) else { return nil }
        let pace =
            row.isNull(33) || row.isNull(37)
            ? nil
            : BatchProgress.Pace(
                tokensPerSecond: row.double(33), tokenMS: row.double(37), tokenMSGrowth: row.double(38))
        return BatchProgress(
            batch: row.id(0), updated: row.id(31), unfinishedTokens: max(0, row.int64(32) - row.int64(16)), pace: pace,
            running: row.int64(34), runningTokens: row.int64(35), runningLimit: row.int64(36))
    }
}
