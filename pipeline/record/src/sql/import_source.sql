INSERT INTO sources (execution_id, path, digest, bytes, format, columns) VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id
