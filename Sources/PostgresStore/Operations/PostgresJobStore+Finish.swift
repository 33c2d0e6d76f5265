// Stores the ends of attempts.

import PostgresClient
public import Runtime
import Sampling
public import StoreContract

extension PostgresJobStore {
    /// One transaction for the whole group. It may be repeated: what this life has finished at the same attempt is finished.
    public func finish(
        _ completions: [JobCompletion], incarnation: Incarnation, at now: Milliseconds
    ) throws(JobStoreError) -> FinishReport {
        guard !completions.isEmpty else { return FinishReport(finished: 0, stale: [], closedBatches: []) }
        return try self.completions.use { connection in
            try connection.transaction { try $0.finish(completions, incarnation: incarnation, at: now) }
        }
    }
}

extension PostgresConnection {
    fileprivate mutating func finish(
        _ completions: [JobCompletion], incarnation: Incarnation, at now: Milliseconds
    ) throws -> FinishReport {
        var report = FinishReport(finished: 0, stale: [], closedBatches: [])
        let groups = Dictionary(grouping: completions, by: \.ticket.batch).sorted { $0.key < $1.key }
        for (batch, completions) in groups {
            let (locked, before) = try lock(batch, of: incarnation)
            guard var counters = locked else {
                report.stale += completions.map(\.ticket)
                continue
            }
            var leases = before
            var ended: [EndedJob] = []
            var others: [JobCompletion] = []
            for completion in completions {
                let ticket = completion.ticket
                guard let index = leases.firstIndex(where: { $0.holds(ticket) }) else {
                    others.append(completion)
                    continue
                }
                leases[index].drop(ticket.job.line)
                ended.append(EndedJob(completion: completion, sequence: counters.nextSequence))
                counters.add(completion)
            }
            try insert(ended, incarnation: incarnation, at: now)
            try write(leases, before: before)
            if counters.hasSuccess { try forgetModelTrouble(batch, of: incarnation) }
            let stored = try storedEnds(of: others, in: batch, incarnation)
            let stale = others.filter { !stored.contains(StoredEnd($0)) }.map(\.ticket)
            report.stale += stale
            report.finished += completions.count - stale.count
            if try counters.write(&self, at: now) { report.closedBatches.append(batch) }
        }
        return report
    }

    /// What this life has stored of jobs that it does not hold: of these it did not hear.
    private mutating func storedEnds(
        of completions: [JobCompletion], in batch: BatchID, _ incarnation: Incarnation
    ) throws -> Set<StoredEnd> {
        guard !completions.isEmpty else { return [] }
        return Set(
            try rows(
                "SELECT line, attempt, state FROM results WHERE batch_id = $1 AND line = ANY($2) AND incarnation = $3",
                batch, PostgresArray(completions.map(\.ticket.job.line)), incarnation
            ) { StoredEnd(line: $0.int64(0), attempt: $0.int(1), state: $0.state(2)) })
    }
}

/// How a job ended at an attempt.
private struct StoredEnd: Hashable {
    let line: Int64
    let attempt: Int
    let state: JobState
}

extension StoredEnd {
    init(_ completion: JobCompletion) {
        self.init(
            line: completion.ticket.job.line, attempt: completion.ticket.attempt, state: completion.outcome.state)
    }
}
