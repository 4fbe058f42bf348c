UPDATE checkpoints SET state = NULL WHERE trajectory_id = ?1 AND step = ?2
