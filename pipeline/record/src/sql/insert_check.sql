INSERT INTO verdict_checks (run_id, position, name, made, note) VALUES (?1, ?2, ?3, ?4, ?5)
