INSERT INTO executions (uid, stage, stage_key, fields, status, process, started_at, threads, device, cpu_capability,
                        libtorch, trajectory_id, from_step)
VALUES (?1, ?2, ?3, ?4, 'running', ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
RETURNING id
