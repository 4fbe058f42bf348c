DELETE FROM checkpoints
WHERE trajectory_id = ?1 AND step = ?2
  AND NOT EXISTS (SELECT 1 FROM execution_outputs o WHERE o.digest = checkpoints.weights)
