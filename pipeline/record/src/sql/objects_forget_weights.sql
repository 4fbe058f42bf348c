-- Deletes an intermediate checkpoint that no accepted result lists: nothing recomputes it, and training resumes without
-- it.
DELETE FROM checkpoints
WHERE weights = ?1 AND NOT EXISTS (SELECT 1 FROM execution_outputs o WHERE o.digest = ?1)
