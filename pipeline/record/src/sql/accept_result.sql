INSERT INTO results (stage_key, execution_id) VALUES (?1, ?2)
ON CONFLICT (stage_key) DO UPDATE SET execution_id = excluded.execution_id
