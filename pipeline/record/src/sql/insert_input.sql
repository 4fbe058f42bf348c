INSERT INTO execution_inputs (execution_id, name, digest) VALUES (?1, ?2, ?3)
