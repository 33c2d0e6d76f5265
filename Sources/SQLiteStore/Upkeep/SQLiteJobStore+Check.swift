// Checks a whole database: SQLite's check of the file, and whether the counters agree with the rows.

import GRDB
import GRDBSQLite
import Glibc
public import StoreContract

extension SQLiteJobStore {
    /// Reads the whole database, which takes minutes for many gigabytes. Others may write meanwhile.
    ///
    /// - Throws: errors that prevent the check. A damaged file is reported in the result.
    public func check() throws(JobStoreError) -> StoreCheck {
        var check = StoreCheck()
        check.engineVersion = try libraryVersion()
        check.needsCheckpointGuard = Self.libraryNeedsCheckpointGuard
        check.filesystem = try DatabaseFile.filesystem(of: path).description
        check.walBytes = try walBytes()
        check.remarks += warnings
        check.problems += try Self.openToOthers(path)
        if check.walBytes > 4 * options.walLimitBytes {
            check.remarks.append(
                "the write-ahead log has \(check.walBytes >> 20) MiB: something reads for very long, and keeps it from "
                    + "being used anew")
        }
        do throws(JobStoreError) {
            try read { try $0.look(at: &check) }
            try noteTheUnsettled(&check)
        } catch .corrupt(_, let reason) {
            check.problems.append("the file is damaged: \(reason)")
        }
        return check
    }

    /// True for all versions up to 3.51.2; see `SQLiteJobStore+Checkpoint.swift`.
    static var libraryNeedsCheckpointGuard: Bool { sqlite3_libversion_number() < 3_051_003 }

    /// Remarks about files that other users may read, though they contain prompts and outputs.
    private static func openToOthers(_ path: String) throws(JobStoreError) -> [String] {
        var problems: [String] = []
        for file in [path, path + "-wal", path + "-shm"] {
            var facts = stat()
            guard stat(file, &facts) == 0 else {
                if errno == ENOENT { continue }
                throw .system("examine", file)
            }
            let others = facts.st_mode & 0o077
            if others != 0 {
                problems.append("\(file) can be used by other users; chmod 600 it")
            }
        }
        return problems
    }

    private func noteTheUnsettled(_ check: inout StoreCheck) throws(JobStoreError) {
        let status = try systemStatus()
        if status.daemon == .absent, status.runningJobs > 0 {
            check.remarks.append(
                "\(status.runningJobs) jobs were in flight when the daemon died; the next one puts them back")
        }
        if status.drafts > 0 {
            check.remarks.append("\(status.drafts) batches are being written or deleted, or wait for their removal")
        }
    }
}

extension Database {
    fileprivate func look(at check: inout StoreCheck) throws {
        let pageBytes = try number("PRAGMA page_size")
        check.schemaVersion = Int(try number("PRAGMA user_version"))
        check.databaseBytes = try number("PRAGMA page_count") * pageBytes
        check.freeBytes = try number("PRAGMA freelist_count") * pageBytes
        check.problems += try rows("PRAGMA integrity_check(20)") { $0.text(0) }.filter { $0 != "ok" }
        // The rows of a damaged file are not evidence.
        guard check.problems.isEmpty else { return }
        check.problems += try rows("PRAGMA foreign_key_check") {
            "row \($0.int64(1)) of \($0.text(0)) belongs to a row of \($0.text(2)) that is not there"
        }
        check.batches = try number("SELECT count(*) FROM batches WHERE status <> 'validating'")
        check.jobs = try number("SELECT count(*) FROM jobs")
        check.problems += try wrongCounters() + wrongResults()
    }

    /// Batches whose counters differ from the sums over their jobs. Drafts change with every chunk, so they are left
    /// out.
    private func wrongCounters() throws -> [String] {
        try rows(
            """
            SELECT b.id FROM batches b LEFT JOIN (
                SELECT batch_id, count(*) AS total, sum(rejected) AS rejected,
                    sum(state = 'succeeded') AS succeeded, sum(state = 'failed') AS failed,
                    sum(state = 'cancelled') AS cancelled, sum(state = 'expired') AS expired,
                    sum(prompt_tokens) AS prompt_tokens, sum(cached_tokens) AS cached_tokens,
                    sum(completion_tokens) AS completion_tokens, count(total_ms) AS timed_jobs,
                    total(queued_ms) AS queued_ms, total(prefill_ms) AS prefill_ms, total(decode_ms) AS decode_ms,
                    total(total_ms) AS total_ms, count(finish_seq) AS ended, coalesce(max(finish_seq), 0) AS last,
                    sum(state = 'pending' AND not_before_ms IS NULL) AS ready
                FROM jobs GROUP BY batch_id
            ) j ON j.batch_id = b.id
            WHERE b.status <> 'validating' AND (b.total > 0 OR j.total IS NOT NULL) AND (
                j.total IS NOT b.total OR j.rejected IS NOT b.rejected OR j.succeeded IS NOT b.succeeded
                OR j.failed IS NOT b.failed OR j.cancelled IS NOT b.cancelled OR j.expired IS NOT b.expired
                OR j.prompt_tokens IS NOT b.prompt_tokens OR j.cached_tokens IS NOT b.cached_tokens
                OR j.completion_tokens IS NOT b.completion_tokens OR j.timed_jobs IS NOT b.timed_jobs
                OR j.queued_ms <> b.queued_ms OR j.prefill_ms <> b.prefill_ms OR j.decode_ms <> b.decode_ms
                OR j.total_ms <> b.total_ms
                OR j.ended <> b.succeeded + b.failed + b.cancelled + b.expired OR j.last <> j.ended
                OR (b.status = 'in_progress' AND j.ready IS NOT b.ready)
                OR (j.ended = j.total) <> (b.finished_ms IS NOT NULL))
            ORDER BY b.id LIMIT 20
            """
        ) { "\($0.id(0, as: BatchID.self)): its counters are not what its jobs add up to" }
    }

    /// Jobs whose result is missing, of the wrong kind, or present though the job has not ended. (A job cannot have
    /// two: it is the key.)
    private func wrongResults() throws -> [String] {
        let results = try rows(
            """
            SELECT j.id, j.state FROM jobs j LEFT JOIN job_results r ON r.job_id = j.id
            WHERE (j.state = 'succeeded') <> (r.text IS NOT NULL) OR (j.state = 'failed') <> (r.error_code IS NOT NULL)
            ORDER BY j.id LIMIT 20
            """
        ) { "\($0.id(0, as: JobID.self)) is \($0.text(1)), and its result is not that of such a job" }
        let bodies = try rows(
            """
            SELECT j.id FROM jobs j LEFT JOIN job_bodies b ON b.job_id = j.id
            WHERE j.rejected = 0 AND b.job_id IS NULL ORDER BY j.id LIMIT 20
            """
        ) { "\($0.id(0, as: JobID.self)) has lost its request" }
        let choices = try rows(
            """
            SELECT r.job_id FROM job_results r LEFT JOIN job_choices c ON c.job_id = r.job_id
            WHERE r.further_choices > 0 OR c.job_id IS NOT NULL
            GROUP BY r.job_id HAVING count(c.job_id) <> r.further_choices ORDER BY r.job_id LIMIT 20
            """
        ) { "\($0.id(0, as: JobID.self)) does not have all its texts" }
        return results + bodies + choices
    }
}
