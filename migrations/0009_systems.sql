-- What made results, besides their requests: the model, the device and the settings that change numbers. The
-- fingerprint is the same where all values are.
CREATE TABLE systems (
    fingerprint TEXT NOT NULL,
    key         TEXT NOT NULL,
    value       TEXT NOT NULL,
    PRIMARY KEY (fingerprint, key)
) STRICT, WITHOUT ROWID;

-- NULL: made by an earlier version.
ALTER TABLE job_results ADD COLUMN fingerprint TEXT;

-- The seed of the first text; the next ones have the seeds after it.
ALTER TABLE job_results ADD COLUMN seed INTEGER;

-- The time that the prompts of a repeated job see, where a chat template tells the date; NULL: that of the enqueue.
ALTER TABLE batches ADD COLUMN prompt_ms INTEGER;
