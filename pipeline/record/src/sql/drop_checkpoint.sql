DELETE FROM checkpoints
WHERE trajectory_id = ?1 AND step = ?2
  AND NOT EXISTS (SELECT 1 FROM execution_outputs o WHERE o.digest = checkpoints.weights)
  AND NOT EXISTS (SELECT 1 FROM trajectories f WHERE f.parent_id = ?1 AND f.parent_step = ?2)
