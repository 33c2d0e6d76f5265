// Inserts thousands of jobs fast: a statement opens a table and its indexes once for all of its rows.

import GRDB
import Runtime
import StoreContract

extension Database {
    /// Statements that insert `rows` rows at once, one for jobs and one for their bodies.
    private static let insertions = [500, 25, 1].map { (rows: $0, jobs: insertJobs($0), bodies: insertBodies($0)) }
    private static let insertOneBody = insertBodies(1)

    /// Inserts pending jobs with their requests. Jobs whose `custom_id` the batch already has are not inserted; they
    /// are returned.
    func insert(
        _ jobs: ArraySlice<NewJob>, into batch: BatchID, at created: Milliseconds
    ) throws -> [DuplicateCustomID] {
        var duplicates: [DuplicateCustomID] = []
        // This transaction has the write lock, so no other connection takes these ids.
        var id = try number("SELECT seq FROM sqlite_sequence WHERE name = 'jobs'") + 1
        var rest = jobs
        for insertion in Self.insertions {
            while rest.count >= insertion.rows {
                let group = rest.prefix(insertion.rows)
                duplicates += try insert(group, insertion.jobs, insertion.bodies, from: id, into: batch, at: created)
                id += Int64(group.count)
                rest = rest.dropFirst(group.count)
            }
        }
        return duplicates
    }

    /// Inserts a group with the statements for its size.
    private func insert(
        _ group: ArraySlice<NewJob>, _ insertJobs: String, _ insertBodies: String, from id: Int64, into batch: BatchID,
        at created: Milliseconds
    ) throws -> [DuplicateCustomID] {
        var values: [any SQLValue] = [id, batch, created]
        for job in group { values += [job.line, job.customID, job.claimRank] as [any SQLValue] }
        let inserted = try run(insertJobs, all: values)
        if inserted == group.count {
            values = [id]
            for job in group { values += [job.endpoint, job.body, job.modelName] as [any SQLValue] }
            try run(insertBodies, all: values)
            return []
        }
        let last = id + Int64(group.count) - 1
        let ids = Set(try rows("SELECT id FROM jobs WHERE id BETWEEN ? AND ?", id, last) { $0.int64(0) })
        var duplicates: [DuplicateCustomID] = []
        for (id, job) in zip(id...last, group) {
            if ids.contains(id) {
                try run(Self.insertOneBody, id, job.endpoint, job.body, job.modelName)
            } else {
                let first = try number(
                    "SELECT line FROM jobs WHERE batch_id = ? AND custom_id = ? AND rejected = 0", batch, job.customID)
                duplicates.append(DuplicateCustomID(line: job.line, firstLine: first, customID: job.customID))
            }
        }
        return duplicates
    }

    /// ?1 is the first job's id, ?2 the batch, ?3 the time; then line, custom_id and claim_rank of each job.
    private static func insertJobs(_ count: Int) -> String {
        let rows = (0..<count).map { "(?1 + \($0), ?2, ?\(3 * $0 + 4), ?\(3 * $0 + 5), 'pending', ?3, ?\(3 * $0 + 6))" }
        return """
            INSERT INTO jobs (id, batch_id, line, custom_id, state, created_ms, claim_rank)
            VALUES \(rows.joined(separator: ", "))
            ON CONFLICT (batch_id, custom_id) WHERE rejected = 0 DO NOTHING
            """
    }

    /// ?1 is the first job's id; then endpoint, body and model_name of each job.
    private static func insertBodies(_ count: Int) -> String {
        let rows = (0..<count).map { "(?1 + \($0), ?\(3 * $0 + 2), ?\(3 * $0 + 3), ?\(3 * $0 + 4))" }
        return "INSERT INTO job_bodies (job_id, endpoint, body, model_name) VALUES \(rows.joined(separator: ", "))"
    }
}
