-- One bad model may not stop the others: what is known of models that cannot be used.

-- The batch whose model a life of the daemon is loading; NULL where it loads none. Whatever ends a life meanwhile (the
-- system that needs its memory, say) leaves it behind, so that the next ones can tell whose model it was.
ALTER TABLE incarnations ADD COLUMN loading INTEGER;

-- Batches whose model was in trouble: a job that has run ends the trouble of all that ask for the same model.
CREATE INDEX batches_in_trouble ON batches (model) WHERE status = 'in_progress' AND model_errors > 0;
