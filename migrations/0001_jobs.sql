-- The queue: batches (a submitted file), their jobs (one prompt each), and what the daemon wrote about them.
--
-- All times are integer milliseconds since 1970 UTC, given by the program. The CHECKs state the life of a row:
-- whoever breaks it, also by hand, is refused here. Forward only: a change is a new file, never an edit of this one.

-- One life of the daemon. A row without stopped_ms whose daemon is gone belongs to one that crashed.
CREATE TABLE incarnations (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    pid        INTEGER NOT NULL,
    host       TEXT NOT NULL,
    version    TEXT NOT NULL,
    model      TEXT NOT NULL,
    device     TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    stopped_ms INTEGER
) STRICT;

CREATE TABLE batches (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    name              TEXT NOT NULL,
    endpoint          TEXT,                                   -- NULL: the jobs name different ones
    model             TEXT,                                   -- NULL: whatever model the daemon runs
    status            TEXT NOT NULL CHECK (status IN ('validating', 'in_progress', 'cancelling', 'completed',
                                                      'cancelled', 'failed', 'expired')),
    retry_of          INTEGER REFERENCES batches (id),
    created_ms        INTEGER NOT NULL,
    started_ms        INTEGER,                                -- the first claim
    finished_ms       INTEGER,
    -- Counters, changed in the transaction that changes the jobs, so that nobody has to count rows.
    total             INTEGER NOT NULL DEFAULT 0,
    rejected          INTEGER NOT NULL DEFAULT 0,             -- of the failed: lines that were never fit to run
    succeeded         INTEGER NOT NULL DEFAULT 0,
    failed            INTEGER NOT NULL DEFAULT 0,
    cancelled         INTEGER NOT NULL DEFAULT 0,
    expired           INTEGER NOT NULL DEFAULT 0,
    prompt_tokens     INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    -- Sums over the jobs that ran to an end, so that a mean costs one division.
    timed_jobs        INTEGER NOT NULL DEFAULT 0,
    queued_ms         INTEGER NOT NULL DEFAULT 0,
    prefill_ms        INTEGER NOT NULL DEFAULT 0,
    decode_ms         INTEGER NOT NULL DEFAULT 0,
    total_ms          INTEGER NOT NULL DEFAULT 0,
    CHECK (rejected <= failed AND succeeded + failed + cancelled + expired <= total),
    CHECK ((finished_ms IS NOT NULL) = (status IN ('completed', 'cancelled', 'failed', 'expired'))),
    CHECK (finished_ms IS NULL OR succeeded + failed + cancelled + expired = total)
) STRICT;

CREATE INDEX batches_open ON batches (id) WHERE status = 'in_progress';
CREATE INDEX batches_unsettled ON batches (status) WHERE status IN ('validating', 'cancelling');

CREATE TABLE jobs (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    batch_id          INTEGER NOT NULL REFERENCES batches (id),
    line              INTEGER NOT NULL CHECK (line >= 1),     -- place in the input
    custom_id         TEXT,
    state             TEXT NOT NULL CHECK (state IN ('pending', 'running', 'succeeded', 'failed', 'cancelled',
                                                     'expired')),
    rejected          INTEGER NOT NULL DEFAULT 0 CHECK (rejected IN (0, 1)),
    attempt           INTEGER NOT NULL DEFAULT 0,             -- claims so far; fences late results
    crashes           INTEGER NOT NULL DEFAULT 0,             -- attempts that took the daemon or device with them
    incarnation       INTEGER REFERENCES incarnations (id),   -- who runs it, or ran it to its end
    created_ms        INTEGER NOT NULL,
    claimed_ms        INTEGER,
    finished_ms       INTEGER,
    finish_seq        INTEGER,                                -- 1, 2, 3 … within the batch, in order of completion
    prompt_tokens     INTEGER NOT NULL DEFAULT 0,
    completion_tokens INTEGER NOT NULL DEFAULT 0,
    queued_ms         INTEGER,
    prefill_ms        INTEGER,
    decode_ms         INTEGER,
    total_ms          INTEGER,
    UNIQUE (batch_id, line),
    CHECK (custom_id IS NOT NULL OR rejected = 1),
    CHECK (rejected = 0 OR (state = 'failed' AND attempt = 0)),
    CHECK (state <> 'pending' OR (incarnation IS NULL AND claimed_ms IS NULL)),
    CHECK (state <> 'running' OR (incarnation IS NOT NULL AND claimed_ms IS NOT NULL AND attempt >= 1)),
    CHECK (state <> 'succeeded' OR (incarnation IS NOT NULL AND attempt >= 1)),
    CHECK ((finished_ms IS NOT NULL) = (state NOT IN ('pending', 'running'))),
    CHECK ((finish_seq IS NOT NULL) = (finished_ms IS NOT NULL))
) STRICT;

-- Partial, so that a million finished rows cost a claim nothing. They serve only queries which spell the state as in
-- the WHERE clause here: `state IN (…)` would scan the table.
CREATE INDEX jobs_pending ON jobs (batch_id) WHERE state = 'pending';
CREATE INDEX jobs_running ON jobs (batch_id) WHERE state = 'running';
CREATE INDEX jobs_failed ON jobs (batch_id, line) WHERE state = 'failed';
CREATE UNIQUE INDEX jobs_finished ON jobs (batch_id, finish_seq) WHERE finish_seq IS NOT NULL;
CREATE UNIQUE INDEX jobs_custom_id ON jobs (batch_id, custom_id) WHERE rejected = 0;

-- What a job asks, beside the hot row. Rejected lines have none.
CREATE TABLE job_bodies (
    job_id   INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    endpoint TEXT NOT NULL,
    body     BLOB NOT NULL
) STRICT;

-- How a job ended: a text or an error. Cancelled and expired jobs have none.
CREATE TABLE job_results (
    job_id           INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    text             TEXT,
    finish_reason    TEXT,
    prompt_token_ids BLOB,                                    -- 32-bit little-endian; only when asked for
    token_ids        BLOB,
    error_code       TEXT,
    error_message    TEXT,
    error_status     INTEGER,                                 -- an HTTP status
    CHECK ((text IS NULL) = (finish_reason IS NULL) AND (text IS NULL) <> (error_code IS NULL)),
    CHECK ((error_code IS NULL) = (error_message IS NULL) AND (error_code IS NULL) = (error_status IS NULL))
) STRICT;

-- What an incarnation did in one interval.
CREATE TABLE metrics (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    incarnation      INTEGER NOT NULL REFERENCES incarnations (id),
    start_ms         INTEGER NOT NULL,
    end_ms           INTEGER NOT NULL CHECK (end_ms >= start_ms),
    prompt_tokens    INTEGER NOT NULL,
    generated_tokens INTEGER NOT NULL,
    prefill_steps    INTEGER NOT NULL,
    decode_steps     INTEGER NOT NULL,
    decode_rows      INTEGER NOT NULL,                        -- summed over the decode steps
    preemptions      INTEGER NOT NULL,                        -- jobs that lost their KV blocks to an older one
    slots            INTEGER NOT NULL,
    kv_blocks_mean   REAL NOT NULL,
    kv_blocks_max    INTEGER NOT NULL,
    kv_blocks_total  INTEGER NOT NULL,
    queue_depth      INTEGER NOT NULL,
    jobs_succeeded   INTEGER NOT NULL,
    jobs_failed      INTEGER NOT NULL
) STRICT;

CREATE INDEX metrics_incarnation ON metrics (incarnation, start_ms);
CREATE INDEX metrics_start ON metrics (start_ms);
