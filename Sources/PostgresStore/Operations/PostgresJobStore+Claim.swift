// Claims jobs for a daemon, and releases them.

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
        return try claims.use { connection in
            try connection.transaction { try $0.claim(limit, of: batch, incarnation: incarnation, at: now) }
        }
    }

    /// One transaction for all tickets.
    public func release(
        _ tickets: [ClaimTicket], incarnation: Incarnation, because reason: ReleaseReason, at now: Milliseconds
    ) throws(JobStoreError) -> ReleaseReport {
        try completions.use { connection in
            try connection.transaction {
                try $0.release(tickets, incarnation: incarnation, because: reason, at: now)
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
                let leases = try db.leases(of: batch, incarnation: incarnation, isLocked: false)
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

    init(id: Int64, attempt: Int, deaths: Int, faults: JobFaults, lines: [Int64]) {
        (self.id, self.attempt, self.deaths, self.faults, self.lines) = (id, attempt, deaths, faults, lines)
    }

    func holds(_ ticket: ClaimTicket) -> Bool { attempt == ticket.attempt && lines.contains(ticket.job.line) }

    /// Gives up a job.
    mutating func drop(_ line: Int64) { lines.removeAll { $0 == line } }
}

extension PostgresConnection {
    /// The leases of a life on jobs of a batch.
    mutating func leases(of batch: BatchID, incarnation: Incarnation, isLocked: Bool) throws -> [Lease] {
        try rows(
            """
            SELECT id, attempt, crashes, bad_outputs, lines, deaths FROM leases WHERE batch_id = $1 AND incarnation = $2
            ORDER BY id \(isLocked ? "FOR UPDATE" : "")
            """, batch, incarnation
        ) { row in
            Lease(
                id: row.int64(0), attempt: row.int(1), deaths: row.int(5),
                faults: JobFaults(crashes: row.int(2), badOutputs: row.int(3)),
                lines: row.array(4))
        }
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
    private mutating func checkIsAlive(_ life: Incarnation) throws {
        let isAlive = try row(
            """
            SELECT 1::int8 FROM daemons WHERE incarnation = $1 AND stopped_ms IS NULL AND declared_dead_ms IS NULL FOR SHARE
            """, life
        ) { _ in true }
        if isAlive == nil { throw JobStoreError.declaredDead(life) }
    }

    fileprivate mutating func claim(
        _ limit: Int, of batch: BatchID, incarnation: Incarnation, at now: Milliseconds
    ) throws -> [ClaimedJob] {
        guard let counters = try LockedCounters(batch, &self), counters.readyBefore > 0, counters.status == .inProgress
        else { return [] }
        try runLater("SELECT pg_advisory_xact_lock_shared($1)", pauseKey)
        // Read behind the locks, which whoever pauses takes first: no job is claimed after a pause was acknowledged.
        let found = try row(
            """
            SELECT b.prompt_ms, \(Segment.columns) FROM batches b JOIN counters c ON c.batch_id = b.id
            LEFT JOIN segments s ON s.batch_id = b.id AND s.incarnation = $3
            WHERE b.id = $1 AND \(claimableCondition) AND (SELECT paused_ms FROM meta) IS NULL
              AND (b.deadline_ms IS NULL OR b.deadline_ms > $2) AND \(isForLife)
            """, batch, now, incarnation
        ) { (promptTime: $0.optionalID(0, as: Milliseconds.self), segment: Segment($0, from: 1)) }
        try checkIsAlive(incarnation)
        guard let found else { return [] }
        var segment = found.segment
        var (chosen, isCut) = try claimable(limit, of: batch, from: segment, andReturned: true)
        // At the end of a piece the rest comes from the next one.
        while !isCut, chosen.count < min(limit, Int(counters.readyBefore)) {
            segment = try takeSegment(of: batch, for: incarnation, after: segment)
            guard segment != nil else { break }
            let more = try claimable(limit - chosen.count, of: batch, from: segment, andReturned: false)
            chosen += more.jobs
            isCut = more.isCut
        }
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

    /// The next jobs of a piece of a batch, and those that came back, by rank and then by line; a request may have megabytes, so
    /// there are fewer of large ones.
    ///
    /// - Returns: also whether there are fewer for that reason.
    private mutating func claimable(
        _ limit: Int, of batch: BatchID, from segment: Segment?, andReturned hasReturned: Bool
    ) throws -> (jobs: [ChosenJob], isCut: Bool) {
        let budget = 32 << 20
        // Without a piece there is nothing behind the last place.
        let (next, end) = (segment?.next ?? .last, segment?.end ?? .last)
        var found = 0
        let jobs = try rows(
            """
            SELECT line, claim_rank, attempt, crashes, bad_outputs, deaths, custom_id, endpoint, body, created_ms, found FROM (
                SELECT f.*, count(*) OVER () AS found, row_number() OVER ranks AS place,
                    sum(length(body)) OVER ranks AS bytes FROM (
                    (SELECT r.*, j.custom_id, j.endpoint, j.body, j.created_ms FROM (
                        SELECT line, claim_rank, attempt, crashes, bad_outputs, deaths FROM returned
                        WHERE batch_id = $1 AND not_before_ms IS NULL AND $8 ORDER BY claim_rank, line LIMIT $6
                    ) r JOIN jobs j ON j.batch_id = $1 AND j.line = r.line)
                    UNION ALL
                    (SELECT line, claim_rank, 0, 0, 0, 0, custom_id, endpoint, body, created_ms FROM jobs
                     WHERE batch_id = $1 AND \(inSegment) ORDER BY claim_rank, line LIMIT $6)
                    ORDER BY claim_rank, line LIMIT $6
                ) f WINDOW ranks AS (ORDER BY claim_rank, line)
            ) c WHERE place = 1 OR bytes <= $7 ORDER BY claim_rank, line
            """, batch, next.rank, next.line, end.rank, end.line, limit, budget, hasReturned
        ) { row in
            found = row.int(10)
            return ChosenJob(
                line: row.int64(0), rank: row.int64(1),
                key: ChosenJob.Key(
                    attempt: row.int(2), deaths: row.int(5),
                    faults: JobFaults(crashes: row.int(3), badOutputs: row.int(4))),
                customID: row.text(6), endpoint: row.text(7), body: row.bytes(8), created: row.id(9))
        }
        return (jobs, found > jobs.count)
    }

    /// Makes running jobs pending again, or fails those that reached a limit. What is not leased any more is left out.
    mutating func release(
        _ tickets: [ClaimTicket], incarnation: Incarnation, because reason: ReleaseReason,
        death: LifeEnd = .none, at now: Milliseconds
    ) throws -> ReleaseReport {
        var report = ReleaseReport(requeued: 0, failed: 0, closedBatches: [])
        for (batch, tickets) in Dictionary(grouping: tickets, by: \.batch).sorted(by: { $0.key < $1.key }) {
            guard var counters = try LockedCounters(batch, &self) else { continue }
            let before = try leases(of: batch, incarnation: incarnation, isLocked: true)
            var leases = before
            var (returned, ended): ([ReturnedJob], [EndedJob]) = ([], [])
            for ticket in tickets {
                guard let index = leases.firstIndex(where: { $0.holds(ticket) }) else { continue }
                leases[index].drop(ticket.job.line)
                var (faults, deaths) = (leases[index].faults, leases[index].deaths)
                var reason = reason
                switch death {
                case .none: break
                case .counted: deaths += 1
                case .suspectAfterAnother(let maxCrashes):
                    // The first one is nobody's fault.
                    if deaths > 0 { reason = .crash(maxCrashes: maxCrashes) }
                    deaths += 1
                }
                switch faults.add(reason) {
                case .again(let delay):
                    returned.append(
                        ReturnedJob(
                            line: ticket.job.line, attempt: ticket.attempt, deaths: deaths, faults: faults,
                            notBefore: delay > 0 ? now + delay : nil))
                    if delay == 0 { counters.ready += 1 }
                    report.requeued += 1
                case .fail(let error):
                    let completion = JobCompletion(
                        ticket: ticket, outcome: .failed(error), usage: TokenUsage(), timings: nil)
                    ended.append(EndedJob(completion: completion, sequence: counters.nextSequence))
                    counters.add(completion)
                    report.failed += 1
                }
            }
            try putBack(returned, of: batch)
            try insert(ended, incarnation: incarnation, at: now)
            try write(leases, before: before)
            if try counters.write(&self, at: now) { report.closedBatches.append(batch) }
        }
        return report
    }

    private mutating func putBack(_ jobs: [ReturnedJob], of batch: BatchID) throws {
        guard !jobs.isEmpty else { return }
        func column<Value: PostgresElement>(_ value: (ReturnedJob) -> Value) -> PostgresArray<Value> {
            PostgresArray(jobs.map(value))
        }
        try runLater(
            """
            INSERT INTO returned (batch_id, line, claim_rank, attempt, crashes, bad_outputs, not_before_ms, deaths)
            SELECT batch_id, line, claim_rank, r.attempt, r.crashes, r.bad_outputs, r.not_before_ms, r.deaths
            FROM unnest($2, $3, $4, $5, $6, $7) AS r (line, attempt, crashes, bad_outputs, not_before_ms, deaths)
                JOIN jobs USING (line)
            WHERE batch_id = $1
            """, batch, column(\.line), column { Int64($0.attempt) }, column { Int64($0.faults.crashes) },
            column { Int64($0.faults.badOutputs) }, column(\.notBefore?.rawValue), column { Int64($0.deaths) })
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

/// Whether the life $3 leaves `batches b` to daemons that have its model loaded: they can do it, and it is not too much for them.
private let isLeftToOthers = """
    ($3 IS NOT NULL AND b.model IS NOT NULL AND NOT c.urgent
     AND b.model IS DISTINCT FROM (SELECT loaded FROM daemons WHERE incarnation = $3)
     AND c.ready <= \(jobsWorthLoading) * (
        SELECT count(*) FROM daemons other JOIN heartbeats heard USING (incarnation)
        WHERE other.incarnation <> $3 AND other.loaded = b.model AND NOT other.draining
          AND other.stopped_ms IS NULL AND other.declared_dead_ms IS NULL
          AND heard.seen_ms > \(serverTime) - heard.limit_ms
          AND NOT EXISTS (
            SELECT 1 FROM model_troubles t WHERE t.incarnation = other.incarnation AND t.batch_id = b.id)))
    """

/// A job that is put back.
private struct ReturnedJob {
    let line: Int64
    let attempt: Int
    let deaths: Int
    let faults: JobFaults
    let notBefore: Milliseconds?
}

/// Whether a life has ended that had the jobs, and what that says of them.
enum LifeEnd {
    case none
    /// It is counted, and what it says is known already.
    case counted
    /// A job that had another life end is a suspect now.
    case suspectAfterAnother(maxCrashes: Int)
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
}
