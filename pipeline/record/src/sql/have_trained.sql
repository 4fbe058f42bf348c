-- A run whose training is done has all of its steps, including those computed since an earlier end of the run.
UPDATE runs
SET steps = x.to_step, last_evaluation = NULL
FROM executions x
WHERE runs.id = ?1 AND runs.status = 'running' AND x.id = ?2 AND x.status = 'finished' AND x.trajectory_id = runs.trajectory_id
  AND x.to_step IS NOT NULL
