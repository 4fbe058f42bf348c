INSERT INTO runs (uid, run_key, status, point, trajectory_id, created_at, finished_at, host, program_version, name, directory)
VALUES (?1, ?2, 'finished', ?3, ?4, ?5, ?5, ?6, ?7, ?8, ?9)
RETURNING id
