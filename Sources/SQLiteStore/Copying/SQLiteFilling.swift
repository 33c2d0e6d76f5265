// Fills an empty queue with the rows of another one.

import GRDB
import StoreContract

/// The work of one transaction.
struct SQLiteFilling {
    private let rows: any QueueRows
    private let db: Database
    private let path: String
    private var report = QueueCopyReport()

    init(_ rows: any QueueRows, into db: Database, at path: String) {
        (self.rows, self.db, self.path) = (rows, db, path)
    }

    mutating func run() throws -> QueueCopyReport {
        try insert(.incarnations, into: "incarnations", without: "identity declared_dead_ms")
        try insert(.batches, into: "batches", first: QueueCopyReport.batchColumns) { $0.addBatch($1) }
        try copyJobs()
        try copyTexts()
        for relation in [CopiedRelation.systems, .metrics, .keys] { try insert(relation, into: relation.rawValue) }
        try insert(.files, into: "files") { report, _ in report.addFile() }
        try copyQueue()
        try report.checkSums(of: rows)
        return report
    }

    /// Copies a relation into a table that has columns of the same names.
    private mutating func insert(
        _ relation: CopiedRelation, into table: String, without left: String = "", first: String = "",
        count: (inout QueueCopyReport, [CopiedValue]) -> Void = { _, _ in }
    ) throws {
        let left = relation.columns(left)
        let first = relation.columns(first)
        let columns = first + relation.columns.filter { !left.contains($0) && !first.contains($0) }
        let places = Array(repeating: "?", count: columns.count).joined(separator: ", ")
        let sql = "INSERT INTO \(table) (\(columns.list)) VALUES (\(places))"
        try forEach(relation, columns) { filling, row in
            count(&filling.report, row)
            try filling.db.run(sql, all: row)
        }
    }

    /// Numbers that were given in the source are not given again.
    private mutating func copyQueue() throws {
        try forEach(.queue, CopiedRelation.queue.columns("paused_ms last_batch last_incarnation")) { filling, row in
            let db = filling.db
            try db.run("UPDATE queue SET paused_ms = ?", row[0])
            for (table, last) in [("batches", row[1]), ("incarnations", row[2])] {
                let given = try db.number("SELECT max(seq) FROM sqlite_sequence WHERE name = ?", table)
                try db.run("DELETE FROM sqlite_sequence WHERE name = ?", table)
                try db.run(
                    "INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", table, max(given, last.number ?? 0))
            }
        }
    }

    /// A job has the number that it would have in PostgreSQL, so the texts find it without a look, and jobs of one rank stay in the
    /// order of their lines.
    private static let jobID = "?1 << 32 | ?2"

    private mutating func copyJobs() throws {
        let relation = CopiedRelation.jobs
        let counted = relation.columns(QueueCopyReport.jobColumns)
        let request = relation.columns("batch_id line endpoint body model_name")
        let error = relation.columns("batch_id line error_code error_message error_status error_param")
        let job = relation.columns(
            """
            batch_id line claim_rank custom_id state attempt crashes bad_outputs incarnation created_ms claimed_ms \
            not_before_ms finished_ms finish_seq prompt_tokens cached_tokens completion_tokens queued_ms prefill_ms decode_ms \
            total_ms
            """)
        // Each part of a row is a range of it.
        let ranges = [counted, job, request, error].reduce(into: [Range<Int>]()) { ranges, columns in
            let start = ranges.last?.upperBound ?? 0
            ranges.append(start..<start + columns.count)
        }
        let places = (4...job.count).map { "?\($0)" }.joined(separator: ", ")
        let insertJob = """
            INSERT INTO jobs (id, rejected, claim_rank, batch_id, line, \(Array(job.dropFirst(3)).list))
            VALUES (\(Self.jobID), ?3 IS NULL, coalesce(?3, 0), ?1, ?2, \(places))
            """
        let insertRequest = """
            INSERT INTO job_bodies (job_id, endpoint, body, model_name) VALUES (\(Self.jobID), ?3, ?4, ?5)
            """
        let insertError = """
            INSERT INTO job_results (job_id, error_code, error_message, error_status, error_param)
            VALUES (\(Self.jobID), ?3, ?4, ?5, ?6)
            """
        try forEach(relation, counted + job + request + error) { filling, row in
            filling.report.addJob(row)
            let parts = ranges.map { Array(row[$0]) }
            try filling.db.run(insertJob, all: parts[1])
            if !parts[1][2].isNull { try filling.db.run(insertRequest, all: parts[2]) }
            if !parts[3][2].isNull { try filling.db.run(insertError, all: parts[3]) }
        }
    }

    private mutating func copyTexts() throws {
        let relation = CopiedRelation.choices
        let text = """
            text reasoning tool_calls unread scores confidence finish_reason complete stop_string stop_token \
            prompt_token_ids token_ids logprobs prompt_logprobs
            """
        let columns = relation.columns("batch_id line choice \(text) choices seed fingerprint")
        let texts = relation.columns(text)
        let places = (0..<texts.count).map { "?\($0 + 4)" }.joined(separator: ", ")
        let next = texts.count + 4
        let insertFirst = """
            INSERT INTO job_results (job_id, \(texts.list), further_choices, seed, fingerprint)
            VALUES (\(Self.jobID), \(places), ?\(next) - 1, ?\(next + 1), ?\(next + 2))
            """
        let insertFurther = """
            INSERT INTO job_choices (job_id, choice, \(texts.list)) VALUES (\(Self.jobID), ?3, \(places))
            """
        try forEach(relation, columns) { filling, row in
            filling.report.addText()
            if row[2].number == 0 {
                try filling.db.run(insertFirst, all: row)
            } else {
                try filling.db.run(insertFurther, all: row.dropLast(3))
            }
        }
    }

    private mutating func forEach(
        _ relation: CopiedRelation, _ columns: [CopiedColumn],
        _ insert: (inout SQLiteFilling, [CopiedValue]) throws -> Void
    ) throws {
        let (rows, db, path) = (rows, db, path)
        try rows.read(relation, columns) { row throws(JobStoreError) in
            do { try insert(&self, row) } catch { throw JobStoreError(error, path: path, connection: db) }
        }
    }
}
