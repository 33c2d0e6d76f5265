-- Batches that came over HTTP: their owners, what their clients said of them, and the files that clients see.

-- Whose batch it is; NULL: nobody's in particular, for whoever sees all.
ALTER TABLE batches ADD COLUMN tenant TEXT;
CREATE INDEX batches_tenant ON batches (tenant, id) WHERE tenant IS NOT NULL;

-- The uploaded file of which the batch was made, and the client's words for it; NULL: it did not come so. Metadata is a JSON
-- object of texts.
ALTER TABLE batches ADD COLUMN input_file TEXT;
ALTER TABLE batches ADD COLUMN completion_window TEXT;
ALTER TABLE batches ADD COLUMN metadata TEXT;

-- When it was submitted, until its file has been validated: such a draft does not die with its writer, but is filled anew
-- by the next one.
ALTER TABLE batches ADD COLUMN submitted_ms INTEGER CHECK (submitted_ms IS NULL OR status IN ('validating', 'cancelling'));
CREATE INDEX batches_submitted ON batches (id) WHERE submitted_ms IS NOT NULL;

-- Why the file was refused: [{"code": …, "message": …, "param": …, "line": …}].
ALTER TABLE batches ADD COLUMN input_errors TEXT;

-- What clients call the files of results and of errors, and until when they are served; NULL: they were deleted.
ALTER TABLE batches ADD COLUMN output_file TEXT;
ALTER TABLE batches ADD COLUMN error_file TEXT;
ALTER TABLE batches ADD COLUMN output_expires_ms INTEGER;
UPDATE batches SET output_file = 'file-' || lower(hex(randomblob(16))), error_file = 'file-' || lower(hex(randomblob(16)));
CREATE UNIQUE INDEX batches_output_file ON batches (output_file) WHERE output_file IS NOT NULL;
CREATE UNIQUE INDEX batches_error_file ON batches (error_file) WHERE error_file IS NOT NULL;

-- Uploaded files. Their contents lie beside the database, each under its id.
CREATE TABLE files (
    id         TEXT PRIMARY KEY,
    tenant     TEXT,
    name       TEXT NOT NULL,                                 -- the client's; only a text
    purpose    TEXT NOT NULL,
    bytes      INTEGER NOT NULL CHECK (bytes >= 0),
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX files_created ON files (created_ms, id);
CREATE INDEX files_expires ON files (expires_ms) WHERE expires_ms IS NOT NULL;
