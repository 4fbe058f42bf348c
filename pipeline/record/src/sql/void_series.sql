DELETE FROM series_values WHERE step >= ?2 AND series_id = (SELECT id FROM series WHERE trajectory_id = ?1 AND name = ?3)
