// Models that cannot be used: the failures counted for their batches, and their reset.

import GRDB
public import Runtime
public import StoreContract

extension SQLiteJobStore {
    /// Updates one row, and one for each claimable batch that asks for the same model.
    public func postpone(
        _ batch: BatchID, by life: Incarnation, limit: Int?, backoff: Backoff, because reason: String,
        at now: Milliseconds
    ) throws(JobStoreError) -> Int {
        try write { db in
            let struck = try db.rows(
                """
                SELECT id, model_errors FROM batches
                WHERE status = 'in_progress'
                  AND (id = ?1 OR \(Database.claimableCondition) AND model IS (SELECT model FROM batches WHERE id = ?1))
                """, batch
            ) { (id: $0.id(0, as: BatchID.self), times: $0.int(1) + 1) }
            for (id, times) in struck {
                let delay = times < limit ?? .max ? backoff.delayMS(after: times) : 0
                try db.run(
                    "UPDATE batches SET model_errors = ?, model_error = ?, not_before_ms = ? WHERE id = ?",
                    times, reason, delay > 0 ? now + delay : nil, id)
            }
            return struck.first { $0.id == batch }?.times ?? 0
        }
    }

    /// Updates one row. A power cut may undo it, but then it also ended that incarnation.
    public func noteLoading(for batch: BatchID?, incarnation: Incarnation) throws(JobStoreError) {
        _ = try write(isSynced: false) { db in
            try db.run("UPDATE incarnations SET loading = ? WHERE id = ?", batch, incarnation)
        }
    }

    /// Reads two rows by their keys.
    public func loadingThatKilled(before incarnation: Incarnation) throws(JobStoreError) -> BatchID? {
        try read { db in
            try db.row(
                """
                SELECT b.id FROM incarnations last
                JOIN batches b ON b.id = last.loading
                JOIN incarnations first ON first.id = last.id - 1
                JOIN batches a ON a.id = first.loading AND a.model IS b.model
                WHERE last.id = ? - 1 AND last.stopped_ms IS NULL AND first.stopped_ms IS NULL
                """, incarnation
            ) { $0.id(0) }
        }
    }
}

extension Database {
    /// The statement that resets the failures of a batch's model. A test checks its plan.
    static let forgetModelTroubleSQL = """
        UPDATE batches INDEXED BY batches_in_trouble SET model_errors = 0, model_error = NULL
        WHERE status = 'in_progress' AND model_errors > 0 AND model IS (SELECT model FROM batches WHERE id = ?)
        """

    /// Called when a job of the batch has run, which proves that the model can be used.
    func forgetModelTrouble(_ batch: BatchID) throws { _ = try run(Self.forgetModelTroubleSQL, batch) }
}
