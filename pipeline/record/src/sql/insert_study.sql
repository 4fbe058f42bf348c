INSERT INTO studies (experiment_id, name, points, created_at) VALUES (?1, ?2, ?3, ?4) RETURNING id
