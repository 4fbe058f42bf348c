UPDATE steps SET grad_norm = NULL, nonfinite = NULL WHERE trajectory_id = ?1 AND step >= ?2
