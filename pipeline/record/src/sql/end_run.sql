-- Only the process that owns a run may end it. A run that ends before its training does keeps the steps that its
-- trajectory has now, whatever is computed later for others. A run whose training is done (?3 steps) has all of them,
-- including those computed since an earlier end.
UPDATE runs
SET status = ?2,
    steps = coalesce(?3, steps, (SELECT e.steps FROM run_extent e WHERE e.run = runs.id AND e.trajectory_id IS NOT NULL)),
    last_evaluation = coalesce(CASE WHEN ?3 IS NULL THEN last_evaluation END, (SELECT max(id) FROM evaluations), 0),
    seconds = seconds + ?4, error = ?5, finished_at = ?6, process = NULL
WHERE id = ?1 AND status = 'running' AND process = ?7
