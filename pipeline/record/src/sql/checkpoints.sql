SELECT step, weights, state FROM checkpoints WHERE trajectory_id = ?1 ORDER BY step
