DELETE FROM trajectory_parts WHERE trajectory_id = ?1
