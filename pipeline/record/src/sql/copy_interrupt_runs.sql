-- As in interrupt_runs_of: a run of the copy keeps the steps that its trajectory had when it was copied.
UPDATE main.runs
SET status = 'interrupted', process = NULL,
    steps = coalesce(steps, (SELECT e.steps FROM main.run_extent e WHERE e.run = runs.id AND e.trajectory_id IS NOT NULL)),
    last_evaluation = coalesce(last_evaluation, (SELECT max(id) FROM main.evaluations), 0)
WHERE status = 'running'
