INSERT INTO events (execution_id, trajectory_id, step, kind, message, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
