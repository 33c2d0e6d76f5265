-- Prefix sharing: alike prompts are claimed together, and the tokens that were found in the KV cache are counted.

-- A job's place in its batch's order of claiming, which brings prompts that begin alike together. Among equals the lower
-- id comes first, so jobs that were stored before there was a rank keep the order of their lines.
ALTER TABLE jobs ADD COLUMN claim_rank INTEGER NOT NULL DEFAULT 0;

DROP INDEX jobs_pending;
CREATE INDEX jobs_pending ON jobs (batch_id, claim_rank) WHERE state = 'pending';

-- Of prompt_tokens, those that were in the KV cache already.
ALTER TABLE jobs ADD COLUMN cached_tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE batches ADD COLUMN cached_tokens INTEGER NOT NULL DEFAULT 0;

-- Here prompt_tokens are those that were prefilled, so these come on top of them.
ALTER TABLE metrics ADD COLUMN cached_tokens INTEGER NOT NULL DEFAULT 0;
