-- What results tell of the request: the name by which it asked for the model, and the field that an error is about.

-- What results call the model. `model` is what runs: a name may stand for another one (gpt-4o-mini for a model that is here).
-- NULL: as `model`.
ALTER TABLE batches ADD COLUMN model_name TEXT;
-- NULL: as in the batch.
ALTER TABLE job_bodies ADD COLUMN model_name TEXT;

-- The field of the request that is at fault. NULL: none in particular.
ALTER TABLE job_results ADD COLUMN error_param TEXT CHECK (error_param IS NULL OR error_code IS NOT NULL);
