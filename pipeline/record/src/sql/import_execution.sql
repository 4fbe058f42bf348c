INSERT INTO executions (uid, stage, stage_key, fields, status, started_at, finished_at, trajectory_id)
VALUES (?1, 'train', ?2, ?3, 'finished', ?4, ?4, ?5)
RETURNING id
