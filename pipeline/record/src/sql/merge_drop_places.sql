DELETE FROM step_places WHERE trajectory_id = ?1
