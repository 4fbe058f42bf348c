SELECT o.digest, x.stage, o.name, rs.run_id AS run, e.path AS experiment
FROM execution_outputs o
JOIN executions x ON x.id = o.execution_id
LEFT JOIN run_stages rs ON rs.execution_id = x.id
LEFT JOIN runs r ON r.id = rs.run_id
LEFT JOIN experiments e ON e.id = r.experiment_id
-- An output that was made again under the same key belongs to the newer execution.
WHERE EXISTS (SELECT 1 FROM results a WHERE a.execution_id = x.id) OR rs.run_id IS NOT NULL
UNION
SELECT c.weights, x.stage, 'weights@' || c.step, r.id, e.path
FROM checkpoints c
JOIN executions x ON x.id = c.execution_id
LEFT JOIN runs r ON r.trajectory_id = c.trajectory_id
LEFT JOIN experiments e ON e.id = r.experiment_id
UNION
SELECT c.state, x.stage, 'state@' || c.step, r.id, e.path
FROM checkpoints c
JOIN executions x ON x.id = c.execution_id
LEFT JOIN runs r ON r.trajectory_id = c.trajectory_id
LEFT JOIN experiments e ON e.id = r.experiment_id
WHERE c.state IS NOT NULL
ORDER BY 1, 4
