INSERT OR IGNORE INTO step_places
SELECT ?3, step, series, source_id, place FROM step_places WHERE trajectory_id = ?1
