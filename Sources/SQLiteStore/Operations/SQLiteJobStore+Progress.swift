// The progress of jobs in flight: rows that the daemon rewrites often and that end with it.

import GRDB
public import StoreContract

extension SQLiteJobStore {
    /// One transaction without a sync: it need not survive a power cut.
    public func record(_ progress: [BatchProgress], incarnation: Incarnation) throws(JobStoreError) {
        try write(in: "recordProgress", isSynced: false) { db in
            try db.run("DELETE FROM progress")
            for batch in progress {
                // Otherwise the tokens of jobs that end before the next report would be counted twice.
                try db.run(
                    """
                    INSERT INTO progress (
                        batch_id, incarnation, updated_ms, generated_tokens, tokens_per_second, token_ms,
                        token_ms_growth, running, running_tokens, running_limit)
                    SELECT id, ?, ?, completion_tokens + ?, ?, ?, ?, ?, ?, ? FROM batches
                    WHERE id = ? AND status = 'in_progress'
                    """,
                    incarnation, batch.updated, batch.unfinishedTokens, batch.pace?.tokensPerSecond,
                    batch.pace?.tokenMS, batch.pace?.tokenMSGrowth ?? 0, batch.running, batch.runningTokens,
                    batch.runningLimit, batch.batch)
            }
        }
    }
}
