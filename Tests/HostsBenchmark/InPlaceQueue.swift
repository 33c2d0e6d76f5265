// For comparison: SQLite's tables put on PostgreSQL. The state of a job is in its row, and a claim changes 64 of them.

import Benchmarks
import PostgresClient
import Runtime
import Synchronization

/// A daemon on these tables.
final class InPlaceClaimant: Claimant {
    private let connection: Mutex<PostgresConnection>
    private let life: Int64
    private let holding = Mutex<(batch: Int64, jobs: [Int64])>((0, []))

    init(_ address: PostgresAddress, life: Int) throws {
        self.life = Int64(life + 1)
        connection = Mutex(try PostgresConnection.connect(to: address, for: "in place"))
    }

    func claim(_ limit: Int) throws -> Int {
        let claimed = try connection.withLock { db in
            let batch = try db.number(
                """
                SELECT id FROM in_place.batches
                WHERE status = 'in_progress' AND paused_ms IS NULL AND not_before_ms IS NULL AND ready > 0
                ORDER BY priority DESC, urgent DESC, turn, id LIMIT 1
                """)
            // The texts are read, as the store does.
            let jobs = try db.rows(
                Self.claimSQL, batch, limit, life, TimeSource.system.now.rawValue
            ) { ($0.int64(0), $0.text(2), $0.text(3), $0.bytes(4)) }
            return (batch: batch, jobs: jobs.map(\.0))
        }
        holding.withLock { $0 = claimed }
        return claimed.jobs.count
    }

    func finish() throws -> Int {
        let (batch, jobs) = holding.withLock { $0 }
        guard !jobs.isEmpty else { return 0 }
        let text = Array("An answer of some sixty characters, as models give them: 123.".utf8)
        let ended = try connection.withLock { db in
            try db.number(
                Self.finishSQL, batch, PostgresArray(jobs), PostgresArray(jobs.map { _ in text }), life,
                TimeSource.system.now.rawValue)
        }
        holding.withLock { $0 = (0, []) }
        return Int(ended)
    }

    func beat() throws -> [HostsEvent.Kind] { [] }

    /// Makes the tables, with jobs that have ended and others that wait, in four batches.
    static func fill(_ address: PostgresAddress, jobs: Int) throws {
        var db = try PostgresConnection.connect(to: address, for: "in place", patience: .seconds(600))
        try db.execute(tables)
        for state in ["succeeded", "pending"] {
            for _ in 0..<4 {
                try db.run(
                    """
                    WITH new AS (
                        INSERT INTO in_place.batches (status, total, succeeded, ready)
                        VALUES (CASE WHEN $1 = 'pending' THEN 'in_progress' ELSE 'completed' END, $2,
                                CASE WHEN $1 = 'pending' THEN 0 ELSE $2 END, CASE WHEN $1 = 'pending' THEN $2 ELSE 0 END)
                        RETURNING id)
                    INSERT INTO in_place.jobs (batch_id, line, claim_rank, custom_id, state, attempt, incarnation, created_ms, claimed_ms,
                        finished_ms, finish_seq)
                    SELECT new.id, n, n, convert_to('job-' || n, 'UTF8'), $1, CASE WHEN $1 = 'pending' THEN 0 ELSE 1 END,
                        CASE WHEN $1 = 'pending' THEN NULL ELSE 1 END, 1, CASE WHEN $1 = 'pending' THEN NULL ELSE 1 END,
                        CASE WHEN $1 = 'pending' THEN NULL ELSE 1 END, CASE WHEN $1 = 'pending' THEN NULL ELSE n END
                    FROM new, generate_series(1, $2) n
                    """, state, jobs / 4)
            }
        }
        try db.run(
            """
            INSERT INTO in_place.job_bodies SELECT id, convert_to('/v1/completions', 'UTF8'), $1 FROM in_place.jobs
            """, QueueBenchmark.body)
        try db.execute(
            """
            INSERT INTO in_place.job_results SELECT id, 'An answer of some sixty characters, as models give them: 123.',
                'stop' FROM in_place.jobs WHERE state = 'succeeded'
            """)
        try db.execute("VACUUM ANALYZE in_place.jobs, in_place.job_bodies, in_place.job_results, in_place.batches")
    }

    /// As SQLite has them, without what the measured statements neither read nor write. In SQLite every index ends
    /// with the row's number; here the one that claims walk along has to name it.
    private static let tables = """
        CREATE SCHEMA in_place;
        CREATE TABLE in_place.batches (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, status text NOT NULL, priority bigint NOT NULL DEFAULT 0,
            urgent bigint NOT NULL DEFAULT 0, turn bigint NOT NULL DEFAULT 0, ready bigint NOT NULL DEFAULT 0,
            paused_ms bigint, not_before_ms bigint, started_ms bigint, finished_ms bigint, total bigint NOT NULL DEFAULT 0,
            succeeded bigint NOT NULL DEFAULT 0, failed bigint NOT NULL DEFAULT 0, cancelled bigint NOT NULL DEFAULT 0,
            expired bigint NOT NULL DEFAULT 0, prompt_tokens bigint NOT NULL DEFAULT 0,
            completion_tokens bigint NOT NULL DEFAULT 0, timed_jobs bigint NOT NULL DEFAULT 0,
            queued_ms bigint NOT NULL DEFAULT 0, prefill_ms bigint NOT NULL DEFAULT 0, decode_ms bigint NOT NULL DEFAULT 0,
            total_ms bigint NOT NULL DEFAULT 0);
        CREATE INDEX batches_claimable ON in_place.batches (priority DESC, urgent DESC, turn, id)
            WHERE status = 'in_progress' AND paused_ms IS NULL AND not_before_ms IS NULL AND ready > 0;
        CREATE TABLE in_place.jobs (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            batch_id bigint NOT NULL, line bigint NOT NULL, custom_id bytea,
            state text NOT NULL CHECK (state IN ('pending', 'running', 'succeeded', 'failed', 'cancelled', 'expired')),
            rejected bigint NOT NULL DEFAULT 0, claim_rank bigint NOT NULL DEFAULT 0, attempt bigint NOT NULL DEFAULT 0,
            crashes bigint NOT NULL DEFAULT 0, bad_outputs bigint NOT NULL DEFAULT 0, incarnation bigint,
            created_ms bigint NOT NULL, claimed_ms bigint, not_before_ms bigint, finished_ms bigint, finish_seq bigint,
            prompt_tokens bigint NOT NULL DEFAULT 0, cached_tokens bigint NOT NULL DEFAULT 0,
            completion_tokens bigint NOT NULL DEFAULT 0, queued_ms bigint, prefill_ms bigint, decode_ms bigint,
            total_ms bigint, UNIQUE (batch_id, line));
        CREATE INDEX jobs_pending ON in_place.jobs (batch_id, claim_rank, id) WHERE state = 'pending' AND not_before_ms IS NULL;
        CREATE INDEX jobs_running ON in_place.jobs (batch_id) WHERE state = 'running';
        CREATE INDEX jobs_failed ON in_place.jobs (batch_id, line) WHERE state = 'failed';
        CREATE UNIQUE INDEX jobs_finished ON in_place.jobs (batch_id, finish_seq) WHERE finish_seq IS NOT NULL;
        CREATE UNIQUE INDEX jobs_custom_id ON in_place.jobs (batch_id, custom_id) WHERE rejected = 0;
        CREATE TABLE in_place.job_bodies (job_id bigint PRIMARY KEY, endpoint bytea NOT NULL, body bytea NOT NULL);
        CREATE TABLE in_place.job_results (
            job_id bigint PRIMARY KEY, text bytea, finish_reason text, error_code text, error_message text);
        """

    /// The batch's row comes first everywhere: claims that lock jobs first, and finishes that lock them last, wait for one
    /// another.
    private static let claimSQL = """
        WITH locked AS MATERIALIZED (
            SELECT id FROM in_place.batches WHERE id = $1 AND status = 'in_progress' AND ready > 0 FOR UPDATE
        ), chosen AS MATERIALIZED (
            SELECT id FROM in_place.jobs
            WHERE batch_id = (SELECT id FROM locked) AND state = 'pending' AND not_before_ms IS NULL
            ORDER BY claim_rank, id LIMIT $2 FOR UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE in_place.jobs j SET state = 'running', attempt = attempt + 1, incarnation = $3, claimed_ms = $4
            FROM chosen WHERE j.id = chosen.id RETURNING j.id, j.line, j.custom_id
        ), counted AS (
            UPDATE in_place.batches SET ready = ready - (SELECT count(*) FROM claimed),
                turn = turn + (SELECT count(*) FROM claimed), started_ms = coalesce(started_ms, $4)
            WHERE id = (SELECT id FROM locked)
        )
        SELECT c.id, c.line, c.custom_id, b.endpoint, b.body FROM claimed c JOIN in_place.job_bodies b ON b.job_id = c.id
        """

    private static let finishSQL = """
        WITH locked AS MATERIALIZED (
            SELECT id, succeeded + failed + cancelled + expired AS ended FROM in_place.batches WHERE id = $1 FOR UPDATE
        ), items AS MATERIALIZED (
            SELECT * FROM unnest($2, $3) WITH ORDINALITY AS i (id, text, place)
        ), ended AS (
            UPDATE in_place.jobs j SET state = 'succeeded', finished_ms = $5, finish_seq = locked.ended + items.place,
                prompt_tokens = 12, completion_tokens = 16, queued_ms = 1, prefill_ms = 1, decode_ms = 1, total_ms = 3
            FROM items, locked WHERE j.id = items.id AND j.state = 'running' AND j.incarnation = $4 RETURNING j.id
        ), stored AS (
            INSERT INTO in_place.job_results (job_id, text, finish_reason) SELECT id, text, 'stop' FROM items JOIN ended USING (id)
        ), counted AS (
            UPDATE in_place.batches b SET succeeded = succeeded + n, prompt_tokens = prompt_tokens + 12 * n,
                completion_tokens = completion_tokens + 16 * n, timed_jobs = timed_jobs + n, queued_ms = queued_ms + n,
                prefill_ms = prefill_ms + n, decode_ms = decode_ms + n, total_ms = total_ms + 3 * n
            FROM (SELECT count(*) AS n FROM ended) e WHERE b.id = (SELECT id FROM locked)
        )
        SELECT count(*) FROM ended
        """
}
