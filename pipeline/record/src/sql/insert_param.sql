INSERT INTO params (run_id, name, value) VALUES (?1, ?2, ?3)
