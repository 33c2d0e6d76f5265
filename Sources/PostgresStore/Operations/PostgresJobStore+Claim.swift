// Claims jobs for a daemon.

import PostgresClient
public import Runtime
public import StoreContract

extension PostgresJobStore {
    /// Looks at the open batches.
    public func claimableBatch(
        among: Set<BatchID>?, fitting model: String?, for life: Incarnation?
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
                  AND \(isForLife) AND NOT \(isLeftToOthers)
                ORDER BY b.priority DESC, c.urgent DESC, c.turn, b.id LIMIT 1
                """, ids, model?.stored, life
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
        let identity = identity
        return try claims.use { connection in
            try connection.transaction {
                try $0.claim(limit, of: batch, incarnation: incarnation, identity: identity, at: now)
            }
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

    fileprivate mutating func claim(
        _ limit: Int, of batch: BatchID, incarnation: Incarnation, identity: [UInt8], at now: Milliseconds
    ) throws -> [ClaimedJob] {
        var (locked, isAlive): (LockedCounters?, Bool) = (nil, false)
        var found: (promptTime: Milliseconds?, segment: BatchSegment?)?
        var jobs = ChosenJobs()
        // Whoever pauses takes the locks first. The others are read behind them: no job is claimed after a pause was acknowledged, and
        // whoever is alive stays so until the transaction's end.
        try run(together: [
            PostgresStatement(LockedCounters.lockSQL, batch),
            PostgresStatement("SELECT pg_advisory_xact_lock_shared($1)", pauseKey),
            PostgresStatement(Self.livingSQL, incarnation, identity),
            PostgresStatement(Self.claimableBatchSQL, batch, now, incarnation),
            PostgresStatement(Self.claimableJobsSQL, batch, incarnation, limit, Self.bodyBudget, true),
        ]) { statement, row in
            switch statement {
            case 0: locked = LockedCounters(batch, row)
            case 2: isAlive = true
            case 3: found = (row.optionalID(0), BatchSegment(row, from: 1))
            case 4: jobs.add(row)
            default: break
            }
        }
        guard let counters = locked else { return [] }
        guard isAlive else { throw JobStoreError.declaredDead(incarnation) }
        guard let found else { return [] }
        var segment = found.segment
        // At the end of a piece of the batch the rest comes from the next one.
        while !jobs.areCut, jobs.all.count < min(limit, Int(counters.readyBefore)) {
            segment = try takeSegment(of: batch, for: incarnation, after: segment)
            guard segment != nil else { break }
            jobs.areCut = false
            _ = try rows(
                Self.claimableJobsSQL, batch, incarnation, limit - jobs.all.count, Self.bodyBudget, false
            ) { jobs.add($0) }
        }
        let chosen = jobs.all
        guard !chosen.isEmpty else { return [] }
        if let segment, let last = chosen.last(where: { $0.attempt == 0 }), last.place > segment.next {
            try advance(segment, to: last.place)
        }
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
                started_ms = coalesce(started_ms, $3)
            WHERE batch_id = $1
            """, batch, chosen.count, now)
        return chosen.map { job in
            ClaimedJob(
                ticket: ClaimTicket(job: JobID(batch, line: job.line), batch: batch, attempt: job.attempt + 1),
                line: job.line, customID: job.customID, endpoint: job.endpoint, body: job.body,
                crashes: job.key.faults.crashes, created: job.created, promptTime: found.promptTime)
        }
    }

    /// Whether jobs of a batch may be claimed by a life: a row with the time that their prompts see, and the life's piece of it.
    private static let claimableBatchSQL = """
        SELECT b.prompt_ms, \(BatchSegment.columns) FROM batches b JOIN counters c ON c.batch_id = b.id
        LEFT JOIN segments s ON s.batch_id = b.id AND s.incarnation = $3
        WHERE b.id = $1 AND \(claimableCondition) AND (SELECT paused_ms FROM meta) IS NULL
          AND (b.deadline_ms IS NULL OR b.deadline_ms > $2) AND \(isForLife)
        """

    /// Whether a life may claim: it has neither ended nor been declared dead.
    private static let livingSQL = """
        SELECT 1::int8 FROM daemons WHERE incarnation = $1 AND identity = $2 AND stopped_ms IS NULL
          AND declared_dead_ms IS NULL FOR SHARE
        """

    /// A request may have megabytes, so there are fewer of large ones: the bytes of a claim.
    private static let bodyBudget = 32 << 20

    /// The next jobs of a life's piece of a batch, and those that came back, by rank and then by line.
    private static let claimableJobsSQL = """
        SELECT line, claim_rank, attempt, crashes, bad_outputs, deaths, custom_id, endpoint, body, created_ms,
            bytes + coalesce(next_bytes, 0) > $4
        FROM (
            SELECT f.*, row_number() OVER ranks AS place, sum(length(body)) OVER ranks AS bytes,
                lead(length(body)) OVER ranks AS next_bytes
            FROM (
                (SELECT r.*, j.custom_id, j.endpoint, j.body, j.created_ms FROM (
                    SELECT line, claim_rank, attempt, crashes, bad_outputs, deaths FROM returned
                    WHERE batch_id = $1 AND not_before_ms IS NULL AND $5 ORDER BY claim_rank, line LIMIT $3
                ) r JOIN jobs j ON j.batch_id = $1 AND j.line = r.line)
                UNION ALL
                (SELECT line, claim_rank, 0, 0, 0, 0, custom_id, endpoint, body, created_ms FROM jobs
                 WHERE batch_id = $1 AND claim_rank IS NOT NULL
                   AND (claim_rank, line) >
                       (SELECT next_rank, next_line FROM segments WHERE batch_id = $1 AND incarnation = $2)
                   AND (claim_rank, line) <=
                       (SELECT end_rank, end_line FROM segments WHERE batch_id = $1 AND incarnation = $2)
                 ORDER BY claim_rank, line LIMIT $3)
                ORDER BY claim_rank, line LIMIT $3
            ) f WINDOW ranks AS (ORDER BY claim_rank, line)
        ) c WHERE place = 1 OR bytes <= $4 ORDER BY claim_rank, line
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
    var place: ClaimPlace { ClaimPlace(rank: rank, line: line) }

    /// What `claimableJobsSQL` has found.
    init(_ row: PostgresRow) {
        (line, rank, created) = (row.int64(0), row.int64(1), row.id(9))
        (customID, endpoint, body) = (row.text(6), row.text(7), row.bytes(8))
        key = Key(
            attempt: row.int(2), deaths: row.int(5), faults: JobFaults(crashes: row.int(3), badOutputs: row.int(4)))
    }
}

/// The jobs of a claim.
private struct ChosenJobs {
    private(set) var all: [ChosenJob] = []
    /// Whether there are fewer since the next one is too large.
    var areCut = false

    /// Adds what `claimableJobsSQL` has found.
    mutating func add(_ row: PostgresRow) {
        all.append(ChosenJob(row))
        areCut = row.bool(10)
    }
}

/// Whether `batches b` may be claimed by the life $3: its model was not found unusable there, or the jobs are to be failed.
private let isForLife = """
    NOT EXISTS (
        SELECT 1 FROM model_troubles mine WHERE mine.batch_id = b.id AND mine.incarnation = $3
          AND (mine.not_before_ms IS NOT NULL OR mine.is_final AND NOT coalesce(\(isUnusable), false)))
    """

/// Jobs for each daemon that has a model loaded, from which on another one loads it, too: loading costs minutes.
private let jobsWorthLoading = 256

/// Whether the life $3 leaves `batches b` to daemons that have its model loaded: they can do it, and it is not too much for them. Who
/// works on some batches only ($1) leaves them to nobody.
private let isLeftToOthers = """
    ($1 IS NULL AND $3 IS NOT NULL AND b.model IS NOT NULL AND NOT c.urgent
     AND b.model IS DISTINCT FROM (SELECT loaded FROM daemons WHERE incarnation = $3)
     AND c.ready <= \(jobsWorthLoading) * (
        SELECT count(*) FROM daemons other JOIN heartbeats heard USING (incarnation)
        WHERE other.incarnation <> $3 AND other.loaded = b.model AND NOT other.draining
          AND other.stopped_ms IS NULL AND other.declared_dead_ms IS NULL
          AND heard.seen_ms > \(serverTime) - heard.limit_ms
          AND NOT EXISTS (
            SELECT 1 FROM model_troubles t WHERE t.incarnation = other.incarnation AND t.batch_id = b.id)))
    """
