DELETE FROM checkpoints WHERE trajectory_id = ?1 AND step = ?2
