-- Takes a run over, unless another process has taken it since it was read: ?3 is the process that it had then. If this
-- process is already training for the run, the run shows its trajectory as it grows, as after `train_on`.
UPDATE runs
SET status = 'running', process = ?2, error = NULL, finished_at = NULL,
    (steps, last_evaluation) = (
        SELECT CASE WHEN count(*) = 0 THEN runs.steps END, CASE WHEN count(*) = 0 THEN runs.last_evaluation END
        FROM executions x WHERE x.process = ?2 AND x.status = 'running' AND x.trajectory_id = runs.trajectory_id)
WHERE id = ?1 AND status <> 'finished' AND process IS ?3
