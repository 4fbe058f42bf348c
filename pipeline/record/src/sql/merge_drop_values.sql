DELETE FROM series_values WHERE series_id IN (SELECT id FROM series WHERE trajectory_id = ?1)
