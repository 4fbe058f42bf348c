-- A state from which a fork begins is kept.
UPDATE checkpoints SET state = NULL
WHERE trajectory_id = ?1 AND step = ?2
  AND NOT EXISTS (SELECT 1 FROM trajectories f WHERE f.parent_id = ?1 AND f.parent_step = ?2)
