INSERT INTO runs (uid, run_key, experiment_id, status, point, seed, process, created_at, host, program_version,
                  git_commit, git_dirty, directory, loss_unit)
VALUES (?1, ?2, ?3, 'running', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 'nats/token')
RETURNING id
