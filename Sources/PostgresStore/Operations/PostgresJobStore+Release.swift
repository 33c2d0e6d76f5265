// Releases claimed jobs: they are pending again, or have failed.

import PostgresClient
public import Runtime
public import StoreContract

extension PostgresJobStore {
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
}

extension PostgresConnection {
    /// Makes running jobs pending again, or fails those that reached a limit. What is not leased any more is left out.
    mutating func release(
        _ tickets: [ClaimTicket], incarnation: Incarnation, because reason: ReleaseReason,
        death: LifeEnd = .none, at now: Milliseconds
    ) throws -> ReleaseReport {
        var report = ReleaseReport(requeued: 0, failed: 0, closedBatches: [])
        for (batch, tickets) in Dictionary(grouping: tickets, by: \.batch).sorted(by: { $0.key < $1.key }) {
            let (locked, before) = try lock(batch, of: incarnation)
            guard var counters = locked else { continue }
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
                    let completion = JobCompletion(ticket: ticket, outcome: .failed(error))
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
