// Claims jobs for a daemon.

import PostgresClient
public import Runtime
public import StoreContract

extension PostgresJobStore {
    /// Looks at the open batches.
    public func claimableBatch(
        among: Set<BatchID>?, fitting model: String?
    ) throws(JobStoreError) -> ClaimableBatch? {
        if let among, among.isEmpty { return nil }
        let ids = among.map { PostgresArray($0.map(\.rawValue)) }
        return try read { db in
            try db.row(
                """
                SELECT b.id, b.model, b.priority, c.urgent
                FROM open_batches o JOIN counters c USING (batch_id) JOIN batches b ON b.id = c.batch_id
                WHERE \(claimableCondition) AND (SELECT paused_ms FROM meta) IS NULL
                  AND ($1 IS NULL OR b.id = ANY($1)) AND ($2 IS NULL OR b.model IS NULL OR b.model = $2)
                ORDER BY b.priority DESC, c.urgent DESC, c.turn, b.id LIMIT 1
                """, ids, model?.stored
            ) { row in
                ClaimableBatch(
                    id: row.id(0), model: row.optionalText(1),
                    rank: ClaimableBatch.Rank(priority: row.priority(2), isUrgent: row.bool(3)))
            }
        }
    }

    /// One transaction: the counters are locked, a lease is added, and nothing of the jobs is changed.
    public func claim(
        _ limit: Int, of batch: BatchID, incarnation: Incarnation, at now: Milliseconds
    ) throws(JobStoreError) -> [ClaimedJob] {
        guard limit > 0 else { return [] }
        return try claims.use { connection in
            try connection.transaction { try $0.claim(limit, of: batch, incarnation: incarnation, at: now) }
        }
    }

    /// Looks at the leases of each batch.
    public func revoked(
        among tickets: [ClaimTicket], incarnation: Incarnation
    ) throws(JobStoreError) -> [ClaimTicket] {
        try read { db in
            var revoked: [ClaimTicket] = []
            for (batch, tickets) in Dictionary(grouping: tickets, by: \.batch) {
                let leases = try db.rows(Lease.sql, batch, incarnation) { Lease($0) }
                revoked += tickets.filter { ticket in !leases.contains { $0.holds(ticket) } }
            }
            return revoked
        }
    }
}

/// The right to finish jobs of one batch that are at the same attempt.
struct Lease {
    let id: Int64
    let attempt: Int
    /// How many lives have ended while they had its jobs.
    let deaths: Int
    let faults: JobFaults
    private(set) var lines: [Int64]

    /// The statement for the leases of a life on jobs of a batch.
    static let sql = """
        SELECT id, attempt, crashes, bad_outputs, lines, deaths FROM leases WHERE batch_id = $1 AND incarnation = $2
        ORDER BY id
        """

    /// What that statement has found.
    init(_ row: PostgresRow) {
        (id, attempt, deaths, lines) = (row.int64(0), row.int(1), row.int(5), row.array(4))
        faults = JobFaults(crashes: row.int(2), badOutputs: row.int(3))
    }

    func holds(_ ticket: ClaimTicket) -> Bool { attempt == ticket.attempt && lines.contains(ticket.job.line) }

    /// Gives up a job.
    mutating func drop(_ line: Int64) { lines.removeAll { $0 == line } }
}

extension PostgresConnection {
    /// Locks the counters of a batch, then the leases of a life on its jobs.
    mutating func lock(
        _ batch: BatchID, of incarnation: Incarnation
    ) throws -> (counters: LockedCounters?, leases: [Lease]) {
        var (counters, leases): (LockedCounters?, [Lease]) = (nil, [])
        try run(together: [
            PostgresStatement(LockedCounters.lockSQL, batch),
            PostgresStatement(Lease.sql + " FOR UPDATE", batch, incarnation),
        ]) { statement, row in
            if statement == 0 { counters = LockedCounters(batch, row) } else { leases.append(Lease(row)) }
        }
        return (counters, leases)
    }

    /// Writes what is left of leases.
    mutating func write(_ leases: [Lease], before: [Lease]) throws {
        let changed = zip(leases, before).filter { $0.lines.count != $1.lines.count }.map(\.0)
        for lease in changed where !lease.lines.isEmpty {
            try runLater("UPDATE leases SET lines = $2 WHERE id = $1", lease.id, PostgresArray(lease.lines))
        }
        let gone = changed.filter(\.lines.isEmpty).map(\.id)
        if !gone.isEmpty { try runLater("DELETE FROM leases WHERE id = ANY($1)", PostgresArray(gone)) }
    }

    /// Whether a life may claim: it has neither ended nor been declared dead. It stays so until the transaction's end.
    private mutating func isAlive(_ incarnation: Incarnation) throws -> Bool {
        try row(
            """
            SELECT 1::int8 FROM daemons WHERE incarnation = $1 AND stopped_ms IS NULL AND declared_dead_ms IS NULL FOR SHARE
            """, incarnation
        ) { _ in true } ?? false
    }

    fileprivate mutating func claim(
        _ limit: Int, of batch: BatchID, incarnation: Incarnation, at now: Milliseconds
    ) throws -> [ClaimedJob] {
        var (locked, promptTime, chosen): (LockedCounters?, Milliseconds??, [ChosenJob]) = (nil, nil, [])
        // Whoever pauses takes the locks first. The others are read behind them: no job is claimed after a pause was acknowledged.
        try run(together: [
            PostgresStatement(LockedCounters.lockSQL, batch),
            PostgresStatement("SELECT pg_advisory_xact_lock_shared($1)", pauseKey),
            PostgresStatement(Self.claimableBatchSQL, batch, now),
            PostgresStatement(Self.claimableJobsSQL, batch, limit, Self.bodyBudget),
        ]) { statement, row in
            switch statement {
            case 0: locked = LockedCounters(batch, row)
            case 2: promptTime = .some(row.optionalID(0))
            case 3: chosen.append(ChosenJob(row))
            default: break
            }
        }
        guard var counters = locked, let promptTime, !chosen.isEmpty, try isAlive(incarnation) else { return [] }
        if let last = chosen.last(where: { $0.attempt == 0 }) { counters.next = (last.rank, last.line) }
        let again = chosen.filter { $0.attempt > 0 }
        if !again.isEmpty {
            try runLater(
                "DELETE FROM returned WHERE batch_id = $1 AND line = ANY($2)", batch, PostgresArray(again.map(\.line)))
        }
        for (key, jobs) in Dictionary(grouping: chosen, by: \.key) {
            try runLater(
                """
                INSERT INTO leases (batch_id, incarnation, attempt, crashes, bad_outputs, lines, claimed_ms, deaths)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                """, batch, incarnation, key.attempt + 1, key.faults.crashes, key.faults.badOutputs,
                PostgresArray(jobs.map(\.line)), now, key.deaths)
        }
        try runLater(
            """
            UPDATE counters SET ready = ready - $2, turn = turn + CASE WHEN urgent THEN 0 ELSE $2 END,
                next_rank = $3, next_line = $4, started_ms = coalesce(started_ms, $5)
            WHERE batch_id = $1
            """, batch, chosen.count, counters.next.rank, counters.next.line, now)
        return chosen.map { job in
            ClaimedJob(
                ticket: ClaimTicket(job: JobID(batch, line: job.line), batch: batch, attempt: job.attempt + 1),
                line: job.line, customID: job.customID, endpoint: job.endpoint, body: job.body,
                crashes: job.key.faults.crashes, created: job.created, promptTime: promptTime)
        }
    }

    /// Whether jobs of a batch may be claimed: a row with the time that their prompts see.
    private static let claimableBatchSQL = """
        SELECT b.prompt_ms FROM batches b JOIN counters c ON c.batch_id = b.id
        WHERE b.id = $1 AND \(claimableCondition) AND (SELECT paused_ms FROM meta) IS NULL
          AND (b.deadline_ms IS NULL OR b.deadline_ms > $2)
        """

    /// A request may have megabytes, so there are fewer of large ones: the bytes of a claim.
    private static let bodyBudget = 32 << 20

    /// The next jobs of a batch, by rank and then by line.
    private static let claimableJobsSQL = """
        SELECT line, claim_rank, attempt, crashes, bad_outputs, deaths, custom_id, endpoint, body, created_ms FROM (
            SELECT f.*, row_number() OVER ranks AS place, sum(length(body)) OVER ranks AS bytes FROM (
                (SELECT r.*, j.custom_id, j.endpoint, j.body, j.created_ms FROM (
                    SELECT line, claim_rank, attempt, crashes, bad_outputs, deaths FROM returned
                    WHERE batch_id = $1 AND not_before_ms IS NULL ORDER BY claim_rank, line LIMIT $2
                ) r JOIN jobs j ON j.batch_id = $1 AND j.line = r.line)
                UNION ALL
                (SELECT line, claim_rank, 0, 0, 0, 0, custom_id, endpoint, body, created_ms FROM jobs
                 WHERE batch_id = $1 AND claim_rank IS NOT NULL
                   AND (claim_rank, line) > (SELECT next_rank, next_line FROM counters WHERE batch_id = $1)
                 ORDER BY claim_rank, line LIMIT $2)
                ORDER BY claim_rank, line LIMIT $2
            ) f WINDOW ranks AS (ORDER BY claim_rank, line)
        ) c WHERE place = 1 OR bytes <= $3 ORDER BY claim_rank, line
        """
}

/// A job that is about to be claimed.
private struct ChosenJob {
    struct Key: Hashable {
        /// The attempts so far.
        let attempt: Int
        let deaths: Int
        let faults: JobFaults
    }

    let line: Int64
    let rank: Int64
    let key: Key
    let customID: String
    let endpoint: String
    let body: [UInt8]
    let created: Milliseconds
    var attempt: Int { key.attempt }

    /// What `claimableJobsSQL` has found.
    init(_ row: PostgresRow) {
        (line, rank, created) = (row.int64(0), row.int64(1), row.id(9))
        (customID, endpoint, body) = (row.text(6), row.text(7), row.bytes(8))
        key = Key(
            attempt: row.int(2), deaths: row.int(5), faults: JobFaults(crashes: row.int(3), badOutputs: row.int(4)))
    }
}
