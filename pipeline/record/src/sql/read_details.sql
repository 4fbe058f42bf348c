-- ?1 is a JSON list of run numbers.
SELECT r.id AS run, r.uid, r.trajectory_id, r.length, r.finished_at, r.host, r.program_version, r.git_commit, r.git_dirty,
       x.path AS experiment_path, x.overrides, e.steps
FROM runs r
JOIN run_extent e ON e.run = r.id
LEFT JOIN experiments x ON x.id = r.experiment_id
WHERE r.id IN (SELECT value FROM json_each(?1))
