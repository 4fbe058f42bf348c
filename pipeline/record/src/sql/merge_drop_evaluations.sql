DELETE FROM evaluations WHERE trajectory_id = ?1
