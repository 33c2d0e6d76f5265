-- The scores of texts that a request gave, in place of a generated one:
-- [{"text": …, "logprob": …, "tokens": …, "greedy": …, "probability": …}]; NULL: the text was generated.
ALTER TABLE job_results ADD COLUMN scores TEXT;
ALTER TABLE job_choices ADD COLUMN scores TEXT;

-- The probabilities of the values of a JSON text by their paths: {"$.name": …}; NULL: not wanted, or not JSON.
ALTER TABLE job_results ADD COLUMN confidence TEXT;
ALTER TABLE job_choices ADD COLUMN confidence TEXT;
