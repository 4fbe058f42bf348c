INSERT INTO runs (uid, run_key, experiment_id, status, point, seed, process, created_at, host, program_version,
                  git_commit, git_dirty)
VALUES (?1, ?2, ?3, 'running', ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
RETURNING id
