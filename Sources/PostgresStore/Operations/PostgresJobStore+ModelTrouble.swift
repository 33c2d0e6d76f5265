// Models that cannot be used: the failures counted for their batches and lives, and what was being loaded by lives that died.

import PostgresClient
public import Runtime
public import StoreContract

extension PostgresJobStore {
    /// Updates a row for the batch, and one for each that is claimable for this life and asks for the same model; nothing if a
    /// failure at this time was counted.
    @discardableResult
    public func postpone(
        _ batch: BatchID, by life: Incarnation, limit: Int?, backoff: Backoff, because reason: String,
        at now: Milliseconds
    ) throws(JobStoreError) -> Int {
        try act { db in
            let counted = try db.row(
                "SELECT times FROM model_troubles WHERE incarnation = $1 AND batch_id = $2 AND failed_ms = $3", life,
                batch, now
            ) { $0.int(0) }
            if let counted { return counted }
            let struck = try db.rows(
                """
                SELECT b.id, coalesce(t.times, 0) + 1 FROM open_batches o JOIN counters c USING (batch_id)
                JOIN batches b ON b.id = c.batch_id
                LEFT JOIN model_troubles t ON t.batch_id = b.id AND t.incarnation = $2
                WHERE c.status = 'in_progress'
                  AND (b.id = $1 OR \(claimableCondition) AND t.not_before_ms IS NULL
                       AND b.model IS NOT DISTINCT FROM (SELECT model FROM batches WHERE id = $1))
                ORDER BY b.id
                """, batch, life
            ) { (id: $0.id(0, as: BatchID.self), times: $0.int(1)) }
            for (id, times) in struck {
                let delay = times < limit ?? .max ? backoff.delayMS(after: times) : 0
                try db.run(
                    """
                    INSERT INTO model_troubles (incarnation, batch_id, times, reason, not_before_ms, is_missing, is_final,
                        failed_ms)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                    ON CONFLICT (incarnation, batch_id) DO UPDATE SET times = $3, reason = $4, not_before_ms = $5,
                        is_missing = $6, is_final = $7, failed_ms = $8
                    """,
                    life, id, times, reason.stored, delay > 0 ? now + delay : nil, limit == nil,
                    limit.map { times >= $0 } ?? false, now)
            }
            return struck.first { $0.id == batch }?.times ?? 0
        }
    }

    /// Looks at the troubles of all lives with the batch; `limit` was looked at when they were counted.
    public func unusableModel(of batch: BatchID, limit: Int) throws(JobStoreError) -> ModelTrouble? {
        try read { db in
            try db.row(
                """
                SELECT t.times, t.reason FROM model_troubles t JOIN daemons d USING (incarnation), batches b
                WHERE b.id = $1 AND t.batch_id = $1 AND t.is_final AND \(isUnusable) ORDER BY t.times DESC LIMIT 1
                """, batch
            ) { ModelTrouble(times: $0.int(0), reason: $0.text(1), until: nil) }
        }
    }

    /// Updates one row.
    public func noteLoading(for batch: BatchID?, incarnation: Incarnation) throws(JobStoreError) {
        _ = try claims.use { try $0.run("UPDATE daemons SET loading = $2 WHERE incarnation = $1", incarnation, batch) }
    }

    /// Updates one row.
    public func noteLoaded(_ model: String?, on device: String?, incarnation: Incarnation) throws(JobStoreError) {
        _ = try claims.use {
            try $0.run(
                "UPDATE daemons SET loaded = $2, device = coalesce($3, device) WHERE incarnation = $1", incarnation,
                model?.stored, device?.stored)
        }
    }

    /// Reads the two lives before this one of the same state directory.
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

extension PostgresConnection {
    /// Called when a job of the batch has run, which proves that this life can use the model.
    mutating func forgetModelTrouble(_ batch: BatchID, of life: Incarnation) throws {
        try runLater(
            """
            DELETE FROM model_troubles t USING batches b WHERE b.id = t.batch_id AND t.incarnation = $2
              AND b.model IS NOT DISTINCT FROM (SELECT model FROM batches WHERE id = $1)
            """, batch, life)
    }
}

/// Whether no daemon can use the model of `batches b`: one has tried as often as it does, and all that live have or do not have it.
/// Daemons that work on some batches only are asked about these.
let isUnusable = """
    (SELECT bool_and(coalesce(f.is_final OR f.is_missing, false)) AND bool_or(coalesce(f.is_final, false))
     FROM daemons living LEFT JOIN model_troubles f ON f.incarnation = living.incarnation AND f.batch_id = b.id
     WHERE living.stopped_ms IS NULL AND living.declared_dead_ms IS NULL AND NOT living.draining
       AND (NOT living.scoped OR f.batch_id IS NOT NULL))
    """
