-- The objects that the results of some runs are made of, and those that their trainings resume from.
WITH wanted (run) AS (SELECT value FROM json_each(?1)),
     keys AS (SELECT DISTINCT x.stage_key FROM wanted w
              JOIN run_stages rs ON rs.run_id = w.run JOIN executions x ON x.id = rs.execution_id),
     checkpoints_of AS (SELECT DISTINCT c.weights, c.state FROM wanted w JOIN runs r ON r.id = w.run
                        JOIN checkpoints c ON c.trajectory_id = r.trajectory_id AND c.step <= r.length)
SELECT o.digest FROM keys k JOIN results r ON r.stage_key = k.stage_key JOIN execution_outputs o ON o.execution_id = r.execution_id
UNION SELECT weights FROM checkpoints_of
UNION SELECT state FROM checkpoints_of WHERE state IS NOT NULL
