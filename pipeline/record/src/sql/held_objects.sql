-- The outputs of the executions of some runs, and the checkpoints from which the runs resume.
SELECT o.digest
FROM (SELECT DISTINCT execution_id FROM run_stages WHERE run_id IN (SELECT value FROM json_each(?1))) x
JOIN execution_outputs o ON o.execution_id = x.execution_id
UNION
SELECT c.weights FROM json_each(?1) w JOIN runs r ON r.id = w.value
JOIN checkpoints c ON c.trajectory_id = r.trajectory_id AND c.step <= coalesce(r.length, c.step)
UNION
SELECT c.state FROM json_each(?1) w JOIN runs r ON r.id = w.value
JOIN checkpoints c ON c.trajectory_id = r.trajectory_id AND c.step <= coalesce(r.length, c.step) AND c.state IS NOT NULL
