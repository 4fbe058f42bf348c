INSERT INTO series (trajectory_id, name) VALUES (?1, ?2) RETURNING id
