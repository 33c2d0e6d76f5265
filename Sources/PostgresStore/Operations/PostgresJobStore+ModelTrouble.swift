// Models that cannot be used: the failures counted for their batches, and what was being loaded by lives that died.

import PostgresClient
public import Runtime
public import StoreContract

extension PostgresJobStore {
    /// Updates one row, and one for each claimable batch that asks for the same model.
    public func postpone(
        _ batch: BatchID, limit: Int, backoff: Backoff, because reason: String, at now: Milliseconds
    ) throws(JobStoreError) -> Int {
        try act { db in
            let struck = try db.rows(
                """
                SELECT c.batch_id, c.model_errors + 1 FROM counters c JOIN batches b ON b.id = c.batch_id
                JOIN open_batches o ON o.batch_id = c.batch_id
                WHERE c.status = 'in_progress'
                  AND (b.id = $1
                       OR \(claimableCondition) AND b.model IS NOT DISTINCT FROM (SELECT model FROM batches WHERE id = $1))
                ORDER BY c.batch_id FOR UPDATE OF c
                """, batch
            ) { (id: $0.id(0, as: BatchID.self), times: $0.int(1)) }
            for (id, times) in struck {
                let delay = times < limit ? backoff.delayMS(after: times) : 0
                try db.run(
                    "UPDATE counters SET model_errors = $2, model_error = $3, not_before_ms = $4 WHERE batch_id = $1",
                    id, times, reason.stored, delay > 0 ? now + delay : nil)
            }
            return struck.first { $0.id == batch }?.times ?? 0
        }
    }

    /// Updates one row.
    public func noteLoading(for batch: BatchID?, incarnation: Incarnation) throws(JobStoreError) {
        _ = try claims.use { try $0.run("UPDATE daemons SET loading = $2 WHERE incarnation = $1", incarnation, batch) }
    }

    /// Reads the two lives before this one of the same machine and state directory.
    public func loadingThatKilled(before incarnation: Incarnation) throws(JobStoreError) -> BatchID? {
        try read { db in
            let former = try db.rows(
                """
                SELECT f.loading, f.stopped_ms IS NULL, b.model FROM daemons d JOIN daemons f ON f.identity = d.identity
                LEFT JOIN batches b ON b.id = f.loading
                WHERE d.incarnation = $1 AND f.incarnation < $1 ORDER BY f.incarnation DESC LIMIT 2
                """, incarnation
            ) { (loading: $0.optionalID(0, as: BatchID.self), died: $0.bool(1), model: $0.optionalBytes(2)) }
            guard former.count == 2, former.allSatisfy({ $0.died && $0.loading != nil }),
                former[0].model == former[1].model
            else { return nil }
            return former[0].loading
        }
    }
}
