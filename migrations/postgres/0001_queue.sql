-- The queue in PostgreSQL. What is many is only inserted: jobs once, by COPY, and results once. What changes is little: a row of
-- counters for each batch, a lease for each claim, and the jobs that came back. So nobody's long snapshot makes claims slower.
--
-- All times are integer milliseconds since 1970 UTC. What people write is bytea, since JSON strings may have U+0000 and text
-- may not. Locks are taken in this order: counters by batch, leases by id, the own life.

CREATE TABLE meta (
    one            boolean PRIMARY KEY DEFAULT true CHECK (one),
    schema_version bigint NOT NULL,
    oldest_writer  bigint NOT NULL,                           -- programs that know only older schemas do not write
    changes        bigint NOT NULL DEFAULT 0,                 -- counts what people do: enqueue, cancel, pause, resume, retry
    paused_ms      bigint
);

CREATE TABLE migrations (version bigint PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_ms bigint NOT NULL);

-- One life of a daemon.
CREATE TABLE daemons (
    incarnation      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token            uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),  -- numbers may come twice after a failover
    identity         bytea NOT NULL,                          -- the state directory and its machine: who comes after whom
    pid              bigint NOT NULL,
    host             bytea NOT NULL,
    version          bytea NOT NULL,
    model            bytea NOT NULL,
    device           bytea NOT NULL,
    started_ms       bigint NOT NULL,
    stopped_ms       bigint,                                  -- in good order
    declared_dead_ms bigint,                                  -- by another; nothing of this life is accepted after that
    loading          bigint,                                  -- the batch whose model it is loading
    loaded           bytea,                                   -- the model that it has loaded
    draining         boolean NOT NULL DEFAULT false,          -- a person wants it to take no more jobs
    removed          boolean NOT NULL DEFAULT false           -- a person says that its host is no more
);
CREATE INDEX daemons_identity ON daemons (identity, incarnation);
CREATE INDEX daemons_living ON daemons (incarnation) WHERE stopped_ms IS NULL AND declared_dead_ms IS NULL;

-- When a life was last heard of, by the server's clock. Not logged: a crash of the server empties it, and everybody's time begins
-- anew, which is right.
CREATE UNLOGGED TABLE heartbeats (
    incarnation bigint PRIMARY KEY,
    seen_ms     bigint NOT NULL,
    steady_ms   bigint NOT NULL,                              -- since when it has been heard of without a gap
    limit_ms    bigint NOT NULL                               -- after how long a silence it may be declared dead
) WITH (fillfactor = 10);

-- What changes by a person's hand only.
CREATE TABLE batches (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name              bytea NOT NULL,
    unique_name       bytea,
    endpoint          bytea,
    model             bytea,
    model_name        bytea,
    priority          bigint NOT NULL CHECK (priority BETWEEN -1000 AND 1000),
    deadline_ms       bigint,
    urgent_ms         bigint CHECK ((urgent_ms IS NULL) = (deadline_ms IS NULL)),
    paused_ms         bigint,
    retry_of          bigint REFERENCES batches (id) ON DELETE SET NULL,
    created_ms        bigint NOT NULL,
    prompt_ms         bigint,
    tenant            bytea,
    input_file        text,
    completion_window bytea,
    metadata          bytea,
    submitted_ms      bigint,
    input_errors      bytea,
    output_file       text UNIQUE,
    error_file        text UNIQUE,
    output_expires_ms bigint
);
CREATE UNIQUE INDEX batches_unique_name ON batches (unique_name) WHERE unique_name IS NOT NULL;
CREATE INDEX batches_tenant ON batches (tenant, id) WHERE tenant IS NOT NULL;
CREATE INDEX batches_retry_of ON batches (retry_of) WHERE retry_of IS NOT NULL;

-- The hot row of a batch. It has no index but its key, and there is room in its pages, so that its updates touch no index.
CREATE TABLE counters (
    batch_id          bigint PRIMARY KEY REFERENCES batches (id) ON DELETE CASCADE,
    status            text NOT NULL CHECK (status IN ('validating', 'in_progress', 'cancelling', 'completed', 'cancelled',
                                                      'failed', 'expired')),
    turn              bigint NOT NULL DEFAULT 0,
    urgent            boolean NOT NULL DEFAULT false,
    ready             bigint NOT NULL DEFAULT 0 CHECK (ready >= 0),
    started_ms        bigint,
    finished_ms       bigint,
    total             bigint NOT NULL DEFAULT 0,
    rejected          bigint NOT NULL DEFAULT 0,
    succeeded         bigint NOT NULL DEFAULT 0,
    failed            bigint NOT NULL DEFAULT 0,
    cancelled         bigint NOT NULL DEFAULT 0,
    expired           bigint NOT NULL DEFAULT 0,
    prompt_tokens     bigint NOT NULL DEFAULT 0,
    cached_tokens     bigint NOT NULL DEFAULT 0,
    completion_tokens bigint NOT NULL DEFAULT 0,
    timed_jobs        bigint NOT NULL DEFAULT 0,
    queued_ms         bigint NOT NULL DEFAULT 0,
    prefill_ms        bigint NOT NULL DEFAULT 0,
    decode_ms         bigint NOT NULL DEFAULT 0,
    total_ms          bigint NOT NULL DEFAULT 0,
    CHECK (rejected <= failed AND succeeded + failed + cancelled + expired <= total),
    CHECK ((finished_ms IS NOT NULL) = (status IN ('completed', 'cancelled', 'failed', 'expired'))),
    CHECK (finished_ms IS NULL OR succeeded + failed + cancelled + expired = total)
) WITH (fillfactor = 25, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Which batches have not ended: drafts, those in progress, those being cancelled.
CREATE TABLE open_batches (batch_id bigint PRIMARY KEY REFERENCES batches (id) ON DELETE CASCADE);

-- Models that a daemon could not use, by the batches that ask for them: nobody else is kept from trying.
CREATE TABLE model_troubles (
    incarnation   bigint NOT NULL REFERENCES daemons (incarnation),
    batch_id      bigint NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    times         bigint NOT NULL,
    reason        bytea NOT NULL,
    not_before_ms bigint,
    is_missing    boolean NOT NULL,                           -- this host does not have it: others may
    is_final      boolean NOT NULL,                           -- this host tries no more
    PRIMARY KEY (incarnation, batch_id),
    CHECK (NOT (is_missing AND is_final))
);
CREATE INDEX model_troubles_batch ON model_troubles (batch_id);

-- Never changed.
CREATE TABLE jobs (
    batch_id   bigint NOT NULL,
    line       bigint NOT NULL CHECK (line BETWEEN 1 AND 4294967295),
    claim_rank bigint,                                        -- NULL: the line was rejected, and never ran
    custom_id  bytea,
    created_ms bigint NOT NULL,
    endpoint   bytea,
    model_name bytea,
    body       bytea,
    PRIMARY KEY (batch_id, line),
    CHECK ((claim_rank IS NULL) = (body IS NULL) AND (claim_rank IS NULL) = (endpoint IS NULL)),
    CHECK (claim_rank IS NULL OR custom_id IS NOT NULL)
);
CREATE UNIQUE INDEX jobs_custom_id ON jobs (batch_id, custom_id) WHERE claim_rank IS NOT NULL;
CREATE INDEX jobs_order ON jobs (batch_id, claim_rank, line) WHERE claim_rank IS NOT NULL;

-- What was never claimed, in pieces of the order of claims. A daemon goes through one to its end, so that alike prompts are one's.
CREATE TABLE segments (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id    bigint NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    incarnation bigint,                                       -- who goes through it; another may take it over when that one is gone
    next_rank   bigint NOT NULL,                              -- claims have come to here: this job was the last
    next_line   bigint NOT NULL,
    end_rank    bigint NOT NULL,                              -- its last job
    end_line    bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
CREATE INDEX segments_batch ON segments (batch_id);

-- Jobs that were claimed and came back.
CREATE TABLE returned (
    batch_id      bigint NOT NULL,
    line          bigint NOT NULL,
    claim_rank    bigint NOT NULL,
    attempt       bigint NOT NULL,
    deaths        bigint NOT NULL,                            -- lives that ended while they had it
    crashes       bigint NOT NULL,
    bad_outputs   bigint NOT NULL,
    not_before_ms bigint,
    PRIMARY KEY (batch_id, line)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
CREATE INDEX returned_order ON returned (batch_id, claim_rank, line) WHERE not_before_ms IS NULL;
CREATE INDEX returned_due ON returned (not_before_ms) WHERE not_before_ms IS NOT NULL;

-- The right to finish the jobs of `lines`. Whoever has no lease that names a job can store nothing of it.
CREATE TABLE leases (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id    bigint NOT NULL,
    incarnation bigint NOT NULL REFERENCES daemons (incarnation),
    attempt     bigint NOT NULL,
    deaths      bigint NOT NULL,
    crashes     bigint NOT NULL,
    bad_outputs bigint NOT NULL,
    lines       bigint[] NOT NULL CHECK (cardinality(lines) > 0),
    claimed_ms  bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
CREATE INDEX leases_incarnation ON leases (incarnation);
CREATE INDEX leases_batch ON leases (batch_id);

-- Inserted once. `incarnation` and `attempt` tell a daemon whose answer was lost that the result is its own.
CREATE TABLE results (
    batch_id          bigint NOT NULL,
    line              bigint NOT NULL,
    finish_seq        bigint NOT NULL,
    state             text NOT NULL CHECK (state IN ('succeeded', 'failed', 'cancelled', 'expired')),
    incarnation       bigint,
    attempt           bigint NOT NULL DEFAULT 0,
    finished_ms       bigint NOT NULL,
    prompt_tokens     bigint NOT NULL DEFAULT 0,
    cached_tokens     bigint NOT NULL DEFAULT 0,
    completion_tokens bigint NOT NULL DEFAULT 0,
    queued_ms         bigint,
    prefill_ms        bigint,
    decode_ms         bigint,
    total_ms          bigint,
    error_code        bytea,
    error_message     bytea,
    error_status      bigint,
    error_param       bytea,
    seed              bigint,
    fingerprint       bytea,
    choices           bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (batch_id, line)
);
CREATE UNIQUE INDEX results_order ON results (batch_id, finish_seq);
CREATE INDEX results_failed ON results (batch_id, line) WHERE state = 'failed';

-- The texts of a job that succeeded, from 0 on.
CREATE TABLE choices (
    batch_id         bigint NOT NULL,
    line             bigint NOT NULL,
    choice           bigint NOT NULL,
    text             bytea NOT NULL,
    reasoning        bytea,
    tool_calls       bytea,
    unread           bytea,
    scores           bytea,
    confidence       bytea,
    finish_reason    bytea NOT NULL,
    complete         boolean,
    stop_string      bytea,
    stop_token       bigint,
    prompt_token_ids bytea,
    token_ids        bytea,
    logprobs         bytea,
    prompt_logprobs  bytea,
    PRIMARY KEY (batch_id, line, choice)
);

-- What a daemon last said of a batch of which it has jobs in flight.
CREATE TABLE progress (
    batch_id          bigint NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    incarnation       bigint NOT NULL REFERENCES daemons (incarnation),
    updated_ms        bigint NOT NULL,
    generated_tokens  bigint NOT NULL,
    tokens_per_second double precision,
    token_ms          double precision,
    token_ms_growth   double precision NOT NULL,
    running           bigint NOT NULL,
    running_tokens    bigint NOT NULL,
    running_limit     bigint NOT NULL,
    PRIMARY KEY (batch_id, incarnation)
);

CREATE TABLE systems (fingerprint bytea NOT NULL, key bytea NOT NULL, value bytea NOT NULL, PRIMARY KEY (fingerprint, key));

CREATE TABLE metrics (
    incarnation      bigint NOT NULL,
    start_ms         bigint NOT NULL,
    end_ms           bigint NOT NULL CHECK (end_ms >= start_ms),
    prompt_tokens    bigint NOT NULL,
    cached_tokens    bigint NOT NULL,
    generated_tokens bigint NOT NULL,
    prefill_steps    bigint NOT NULL,
    decode_steps     bigint NOT NULL,
    decode_rows      bigint NOT NULL,
    preemptions      bigint NOT NULL,
    slots            bigint NOT NULL,
    kv_blocks_mean   double precision NOT NULL,
    kv_blocks_max    bigint NOT NULL,
    kv_blocks_total  bigint NOT NULL,
    queue_depth      bigint NOT NULL,
    jobs_succeeded   bigint NOT NULL,
    jobs_failed      bigint NOT NULL,
    PRIMARY KEY (incarnation, start_ms)
);
CREATE INDEX metrics_start ON metrics (start_ms);

CREATE TABLE files (
    id         text PRIMARY KEY,
    tenant     bytea,
    name       bytea NOT NULL,
    purpose    bytea NOT NULL,
    bytes      bigint NOT NULL CHECK (bytes >= 0),
    created_ms bigint NOT NULL,
    expires_ms bigint
);
CREATE INDEX files_created ON files (created_ms, id COLLATE "C");
CREATE INDEX files_expires ON files (expires_ms) WHERE expires_ms IS NOT NULL;

CREATE TABLE server_keys (
    name       bytea PRIMARY KEY,
    public_id  bytea NOT NULL UNIQUE,
    tenant     bytea NOT NULL,
    scopes     text NOT NULL CHECK (scopes <> ''),
    hash       bytea NOT NULL,
    created_ms bigint NOT NULL
);

INSERT INTO meta (schema_version, oldest_writer) VALUES (1, 1);
