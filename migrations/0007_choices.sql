-- Several texts for one request, and what a request may want beside each of them.

-- The logprobs of each generated token, and those of the prompt's tokens; docs/store.md says how they are written.
ALTER TABLE job_results ADD COLUMN logprobs BLOB;
ALTER TABLE job_results ADD COLUMN prompt_logprobs BLOB;

-- Whether the text is all that the request's grammar wants; NULL: it has none.
ALTER TABLE job_results ADD COLUMN complete INTEGER CHECK (complete IN (0, 1));

-- What a chat's text says beside its answer: reasoning, calls of tools ([{"name": …, "arguments": "…"}]), and why a part
-- of the text could not be read as a call.
ALTER TABLE job_results ADD COLUMN reasoning TEXT;
ALTER TABLE job_results ADD COLUMN tool_calls TEXT;
ALTER TABLE job_results ADD COLUMN unread TEXT;

-- The choices of a request behind the first one, which is in job_results.
CREATE TABLE job_choices (
    job_id           INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    choice           INTEGER NOT NULL CHECK (choice >= 1),
    text             TEXT NOT NULL,
    reasoning        TEXT,
    tool_calls       TEXT,
    unread           TEXT,
    finish_reason    TEXT NOT NULL,
    complete         INTEGER CHECK (complete IN (0, 1)),
    stop_string      TEXT,
    stop_token       INTEGER CHECK (stop_token IS NULL OR stop_string IS NULL),
    prompt_token_ids BLOB,                                    -- as in job_results
    token_ids        BLOB,
    logprobs         BLOB,
    prompt_logprobs  BLOB,
    PRIMARY KEY (job_id, choice)
) STRICT, WITHOUT ROWID;

-- How many there are of them, so that the results of most jobs are read without a look into that table.
ALTER TABLE job_results ADD COLUMN further_choices INTEGER NOT NULL DEFAULT 0;
