INSERT INTO trajectories (identity, fields, created_at) VALUES (?1, ?2, ?3) RETURNING id
