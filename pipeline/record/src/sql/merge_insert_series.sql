INSERT OR IGNORE INTO series (trajectory_id, name) SELECT ?3, name FROM series WHERE trajectory_id = ?1
