INSERT INTO execution_outputs (execution_id, name, digest) VALUES (?1, ?2, ?3)
