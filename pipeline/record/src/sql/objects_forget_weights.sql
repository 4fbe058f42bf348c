-- A checkpoint on the way, which no accepted result lists: nothing makes it again, and a training resumes without it.
DELETE FROM checkpoints
WHERE weights = ?1 AND NOT EXISTS (SELECT 1 FROM execution_outputs o WHERE o.digest = ?1)
