DELETE FROM series WHERE trajectory_id = ?1
