-- When a failure with a model was counted: who did not hear that it was, tells the same failure again. And which daemons work on
-- some batches only: what becomes of others is not theirs to say.

ALTER TABLE model_troubles ADD COLUMN failed_ms bigint;
ALTER TABLE daemons ADD COLUMN scoped boolean NOT NULL DEFAULT false;

UPDATE meta SET schema_version = 2;
