-- As in end_run: a run keeps the steps that its trajectory has now, which are those from before its process died.
UPDATE runs
SET status = 'interrupted', process = NULL,
    steps = coalesce(steps, (SELECT e.steps FROM run_extent e WHERE e.run = runs.id AND e.trajectory_id IS NOT NULL)),
    last_evaluation = coalesce(last_evaluation, (SELECT max(id) FROM evaluations), 0)
WHERE status = 'running' AND process = ?1
