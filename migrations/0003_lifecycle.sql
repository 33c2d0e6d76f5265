-- The life of a batch beyond "oldest first": unique names, priorities and fair shares, deadlines, pauses, further attempts.

-- A name that somebody gave the batch, so that enqueuing can be repeated; `name` is the file's. It is written when the
-- batch is handed over: who dies or fails before that has taken no name.
ALTER TABLE batches ADD COLUMN unique_name TEXT;
CREATE UNIQUE INDEX batches_unique_name ON batches (unique_name) WHERE unique_name IS NOT NULL;

-- Batches of higher priority are claimed first. Within a priority it is the least turn's: a turn grows by the jobs that were
-- claimed and begins where the others stand, so that each batch gets its share. From urgent_ms on a batch goes before the
-- others of its priority, the earliest deadline first: then `urgent` is 1, and the turn is the deadline.
ALTER TABLE batches ADD COLUMN priority INTEGER NOT NULL DEFAULT 0 CHECK (priority BETWEEN -1000 AND 1000);
ALTER TABLE batches ADD COLUMN turn INTEGER NOT NULL DEFAULT 0;
ALTER TABLE batches ADD COLUMN urgent INTEGER NOT NULL DEFAULT 0 CHECK (urgent IN (0, 1));

-- Jobs that are not claimed by then expire.
ALTER TABLE batches ADD COLUMN deadline_ms INTEGER;
ALTER TABLE batches ADD COLUMN urgent_ms INTEGER CHECK ((urgent_ms IS NULL) = (deadline_ms IS NULL));

-- Since when no job of the batch is claimed, by somebody's wish.
ALTER TABLE batches ADD COLUMN paused_ms INTEGER;

-- Times in a row that the batch's model could not be used, why the last time, and until when it is not tried again.
ALTER TABLE batches ADD COLUMN model_errors INTEGER NOT NULL DEFAULT 0;
ALTER TABLE batches ADD COLUMN model_error TEXT;
ALTER TABLE batches ADD COLUMN not_before_ms INTEGER;

-- Attempts whose output was unusable, as `crashes` counts those that took the device with them; and until when the job is
-- not tried again. A time that has come is set back to NULL, so that claiming needs no clock.
ALTER TABLE jobs ADD COLUMN bad_outputs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN not_before_ms INTEGER CHECK (not_before_ms IS NULL OR state = 'pending');

DROP INDEX jobs_pending;
CREATE INDEX jobs_pending ON jobs (batch_id, claim_rank) WHERE state = 'pending' AND not_before_ms IS NULL;
CREATE INDEX jobs_delayed ON jobs (not_before_ms, batch_id) WHERE state = 'pending' AND not_before_ms IS NOT NULL;

-- Pending jobs whose time has come, so that the next batch is found without looking at jobs.
ALTER TABLE batches ADD COLUMN ready INTEGER NOT NULL DEFAULT 0 CHECK (ready >= 0);
UPDATE batches SET ready = (SELECT count(*) FROM jobs WHERE batch_id = batches.id AND state = 'pending')
WHERE status = 'in_progress';

CREATE INDEX batches_claimable ON batches (priority DESC, urgent DESC, turn, id)
WHERE status = 'in_progress' AND paused_ms IS NULL AND not_before_ms IS NULL AND ready > 0;
CREATE INDEX batches_deadline ON batches (deadline_ms)
WHERE status = 'in_progress' AND ready > 0 AND deadline_ms IS NOT NULL;
CREATE INDEX batches_urgent ON batches (urgent_ms)
WHERE status = 'in_progress' AND urgent = 0 AND urgent_ms IS NOT NULL;
CREATE INDEX batches_postponed ON batches (not_before_ms) WHERE status = 'in_progress' AND not_before_ms IS NOT NULL;

-- The whole queue: one row.
CREATE TABLE queue (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    paused_ms INTEGER
) STRICT;
INSERT INTO queue (id, paused_ms) VALUES (1, NULL);
