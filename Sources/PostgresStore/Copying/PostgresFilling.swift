// Fills an empty queue with the rows of another one: by COPY, and what has another form here through temporary tables.

import PostgresClient
import Runtime
import StoreContract

/// The work of one transaction.
struct PostgresFilling {
    private let rows: any QueueRows
    private let address: PostgresAddress
    private var report = QueueCopyReport()
    /// How far the claims of batches that have not ended have come.
    private var progress: [Int64: ClaimProgress] = [:]

    init(_ rows: any QueueRows, into address: PostgresAddress) {
        (self.rows, self.address) = (rows, address)
    }

    mutating func run(_ db: inout PostgresConnection, at now: Milliseconds) throws -> QueueCopyReport {
        try copyLives(&db, at: now)
        try copyBatches(&db)
        try copyJobs(&db)
        try copyAttempts(&db)
        try copyResults(&db)
        try copyRest(&db)
        try report.checkSums(of: rows)
        try db.execute("ANALYZE batches, counters, jobs, results, choices, returned, metrics")
        return report
    }

    // MARK: - Relations

    /// Those that were not stopped have died: nothing of them is accepted here.
    private mutating func copyLives(_ db: inout PostgresConnection, at now: Milliseconds) throws {
        try stage(.queue, CopiedRelation.queue.columns, &db)
        try stage(.incarnations, CopiedRelation.incarnations.columns, &db)
        // Numbers that were given in the source are not given again.
        func goOn(_ table: String, _ column: String, behind last: String) -> String {
            let sequence = "pg_get_serial_sequence('\(table)', '\(column)')::regclass"
            return """
                SELECT setval(\(sequence), greatest(\(last), coalesce(pg_sequence_last_value(\(sequence)), 0)))
                FROM copied_queue WHERE \(last) > 0
                """
        }
        try db.execute(
            """
            UPDATE meta SET paused_ms = (SELECT paused_ms FROM copied_queue), changes = changes + 1;
            \(goOn("batches", "id", behind: "last_batch"));
            \(goOn("daemons", "incarnation", behind: "last_incarnation"));
            INSERT INTO daemons (incarnation, identity, pid, host, version, model, device, started_ms, stopped_ms, loading,
                declared_dead_ms, removed) OVERRIDING SYSTEM VALUE
            SELECT id, coalesce(identity, 'copied'), pid, host, version, model, device, started_ms, stopped_ms, loading,
                CASE WHEN stopped_ms IS NULL THEN coalesce(declared_dead_ms, \(now.rawValue)) ELSE declared_dead_ms END, true
            FROM copied_incarnations
            """)
    }

    private mutating func copyBatches(_ db: inout PostgresConnection) throws {
        let relation = CopiedRelation.batches
        let first = relation.columns(QueueCopyReport.batchColumns + " id status")
        let columns = first + relation.columns.filter { !first.contains($0) }
        try stage(relation, columns, &db) { filling, row in
            filling.report.addBatch(row)
            if let id = row[5].number, row[6].is("in_progress") || row[6].is("cancelling") {
                filling.progress[id] = ClaimProgress()
            }
            return true
        }
        let batch = """
            name, unique_name, endpoint, model, model_name, priority, deadline_ms, urgent_ms, paused_ms, retry_of, created_ms,
            prompt_ms, tenant, input_file, completion_window, metadata, submitted_ms, input_errors, output_file, error_file,
            output_expires_ms
            """
        let counters = """
            status, turn, urgent, ready, started_ms, finished_ms, total, rejected, succeeded, failed, cancelled, expired,
            prompt_tokens, cached_tokens, completion_tokens, timed_jobs, queued_ms, prefill_ms, decode_ms, total_ms
            """
        // What models a daemon could not use is its own, and found out anew.
        try db.execute(
            """
            INSERT INTO batches (id, \(batch)) OVERRIDING SYSTEM VALUE SELECT id, \(batch) FROM copied_batches ORDER BY id;
            INSERT INTO counters (batch_id, \(counters)) SELECT id, \(counters) FROM copied_batches ORDER BY id;
            INSERT INTO open_batches (batch_id)
            SELECT id FROM copied_batches WHERE status IN ('validating', 'in_progress', 'cancelling')
            """)
    }

    private mutating func copyJobs(_ db: inout PostgresConnection) throws {
        let relation = CopiedRelation.jobs
        let own = relation.columns("batch_id line claim_rank custom_id created_ms endpoint model_name body")
        let columns = relation.columns(QueueCopyReport.jobColumns + " state attempt") + own
        try copy(relation, columns, into: "jobs (\(own.list))", leaving: 4, &db) { filling, row in
            filling.report.addJob(row)
            let isUntouched = row[2].is("pending") && row[3].number == 0
            if let batch = row[4].number, let line = row[5].number, let rank = row[6].number {
                filling.progress[batch]?.add(rank: rank, line: line, isUntouched: isUntouched)
            }
            return true
        }
    }

    /// What a daemon that died has in flight is leased to it: who finds it dead takes it back.
    private mutating func copyAttempts(_ db: inout PostgresConnection) throws {
        let relation = CopiedRelation.jobs
        let columns = relation.columns(
            """
            state attempt batch_id line claim_rank deaths crashes bad_outputs not_before_ms incarnation claimed_ms
            """)
        try stage(relation, columns, &db) { _, row in
            row[0].is("running") || row[0].is("pending") && row[1].number != 0
        }
        try db.execute(
            """
            INSERT INTO returned (batch_id, line, claim_rank, attempt, deaths, crashes, bad_outputs, not_before_ms)
            SELECT batch_id, line, claim_rank, attempt, deaths, crashes, bad_outputs, not_before_ms FROM copied_jobs
            WHERE state = 'pending';
            INSERT INTO leases (batch_id, incarnation, attempt, deaths, crashes, bad_outputs, lines, claimed_ms)
            SELECT batch_id, incarnation, attempt, deaths, crashes, bad_outputs, array_agg(line ORDER BY line),
                max(claimed_ms)
            FROM copied_jobs WHERE state = 'running' GROUP BY 1, 2, 3, 4, 5, 6
            """)
    }

    private mutating func copyResults(_ db: inout PostgresConnection) throws {
        let jobs = CopiedRelation.jobs
        let results = jobs.columns(
            """
            finish_seq batch_id line state incarnation attempt finished_ms prompt_tokens cached_tokens completion_tokens \
            queued_ms prefill_ms decode_ms total_ms error_code error_message error_status error_param seed fingerprint choices
            """)
        try copy(jobs, results, into: "results (\(results.list))", &db) { _, row in !row[0].isNull }
        let choices = CopiedRelation.choices
        let texts = choices.columns(
            """
            batch_id line choice text reasoning tool_calls unread scores confidence finish_reason complete stop_string \
            stop_token prompt_token_ids token_ids logprobs prompt_logprobs
            """)
        try copy(choices, texts, into: "choices (\(texts.list))", &db) { filling, _ in
            filling.report.addText()
            return true
        }
        for (batch, progress) in progress.sorted(by: { $0.key < $1.key }) { try progress.write(batch, &db) }
    }

    private mutating func copyRest(_ db: inout PostgresConnection) throws {
        try copy(.files, CopiedRelation.files.columns, into: "files (\(CopiedRelation.files.columns.list))", &db) {
            filling, _ in
            filling.report.addFile()
            return true
        }
        for relation in [CopiedRelation.systems, .keys] {
            try copy(relation, relation.columns, into: "\(relation.rawValue) (\(relation.columns.list))", &db)
        }
        // Elsewhere an interval may have been stored twice.
        let columns = CopiedRelation.metrics.columns
        try stage(.metrics, columns, &db)
        try db.execute(
            """
            INSERT INTO metrics (\(columns.list)) SELECT \(columns.list) FROM copied_metrics ON CONFLICT DO NOTHING
            """)
    }

    // MARK: - Rows

    /// Copies rows into a temporary table `copied_…` with the same columns.
    private mutating func stage(
        _ relation: CopiedRelation, _ columns: [CopiedColumn], _ db: inout PostgresConnection,
        choose: (inout PostgresFilling, [CopiedValue]) -> Bool = { _, _ in true }
    ) throws {
        let table = "copied_\(relation.rawValue)"
        try db.execute(
            """
            CREATE TEMPORARY TABLE \(table) ON COMMIT DROP AS SELECT \(columns.list) FROM (\(relation.postgresQuery)) r
            WITH NO DATA
            """)
        try copy(relation, columns, into: "\(table) (\(columns.list))", &db, choose: choose)
    }

    /// Copies those rows that `choose` wants, without the first `leaving` columns.
    private mutating func copy(
        _ relation: CopiedRelation, _ columns: [CopiedColumn], into table: String, leaving: Int = 0,
        _ db: inout PostgresConnection,
        choose: (inout PostgresFilling, [CopiedValue]) -> Bool = { _, _ in true }
    ) throws {
        let (rows, address) = (rows, address)
        _ = try db.copy(into: table) { (append: (ArraySlice<CopiedValue>) throws(PostgresError) -> Void) in
            try rows.read(relation, columns) { row throws(JobStoreError) in
                guard choose(&self, row) else { return }
                do { try append(row.dropFirst(leaving)) } catch { throw JobStoreError(error, at: address) }
            }
        }
    }
}

/// How far claims of a batch have come. The store claims its jobs in order, and never looks back.
private struct ClaimProgress {
    /// The last job, by rank and line, of which something became.
    private var reached: (rank: Int64, line: Int64)?
    /// The first job that was never claimed.
    private var firstUntouched: (rank: Int64, line: Int64)?

    mutating func add(rank: Int64, line: Int64, isUntouched: Bool) {
        if isUntouched {
            let first = firstUntouched ?? (rank, line)
            firstUntouched = (rank, line) < first ? (rank, line) : first
        } else {
            let last = reached ?? (rank, line)
            reached = (rank, line) > last ? (rank, line) : last
        }
    }

    func write(_ batch: Int64, _ db: inout PostgresConnection) throws {
        try db.insertSegment(
            of: BatchID(rawValue: batch), from: reached.map { ClaimPlace(rank: $0.rank, line: $0.line) } ?? .first)
        guard let reached else { return }
        guard let firstUntouched, firstUntouched < reached else { return }
        // They were stored in another order than that of their lines. What comes back has been claimed once.
        try db.run(
            """
            INSERT INTO returned (batch_id, line, claim_rank, attempt, deaths, crashes, bad_outputs)
            SELECT j.batch_id, j.line, j.claim_rank, 1, 0, 0, 0 FROM jobs j
            WHERE j.batch_id = $1 AND j.claim_rank IS NOT NULL AND (j.claim_rank, j.line) < ($2, $3)
              AND NOT EXISTS (SELECT 1 FROM results r WHERE r.batch_id = j.batch_id AND r.line = j.line)
              AND NOT EXISTS (SELECT 1 FROM returned t WHERE t.batch_id = j.batch_id AND t.line = j.line)
              AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.batch_id = j.batch_id AND j.line = ANY(l.lines))
            """, batch, reached.rank, reached.line)
    }
}

/// For rows of COPY only, where each value has its column's type.
extension CopiedValue: PostgresValue {
    package static var type: UInt32 { [UInt8].type }

    package func append(to bytes: inout [UInt8]) {
        switch self {
        case .null: break
        case .integer(let number): number.append(to: &bytes)
        case .real(let number): number.append(to: &bytes)
        case .flag(let flag): flag.append(to: &bytes)
        case .text(let text): bytes += text
        case .bytes(let content): bytes += content
        }
    }
}
