UPDATE steps SET learning_rate = NULL WHERE trajectory_id = ?1 AND step >= ?2
