UPDATE steps SET loss = NULL, loss_kind = NULL, window = NULL WHERE trajectory_id = ?1 AND step >= ?2
