DELETE FROM steps WHERE trajectory_id = ?1
