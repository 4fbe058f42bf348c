-- Whoever no longer owns it, or never did, has nothing to write. A run that ends before its training does keeps what it has
-- of its trajectory now, whatever others compute of it later.
UPDATE runs
SET status = ?2,
    steps = coalesce(?3, steps, (SELECT e.steps FROM run_extent e WHERE e.run = runs.id AND e.trajectory_id IS NOT NULL)),
    last_evaluation = coalesce(last_evaluation, (SELECT max(id) FROM evaluations), 0),
    seconds = seconds + ?4, error = ?5, finished_at = ?6, process = NULL
WHERE id = ?1 AND status = 'running' AND process = ?7
