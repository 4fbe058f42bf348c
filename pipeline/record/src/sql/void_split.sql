DELETE FROM evaluations WHERE trajectory_id = ?1 AND step >= ?2 AND split = ?3
