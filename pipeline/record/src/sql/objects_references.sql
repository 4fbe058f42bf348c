SELECT o.digest, x.stage, o.name, rs.run_id AS run, e.path AS experiment, e.overrides,
       -- An output that was recomputed under the same key belongs to the newer execution.
       rs.run_id IS NOT NULL OR EXISTS (SELECT 1 FROM results a WHERE a.execution_id = x.id) AS needed
FROM execution_outputs o
JOIN executions x ON x.id = o.execution_id
LEFT JOIN run_stages rs ON rs.execution_id = x.id
LEFT JOIN runs r ON r.id = rs.run_id
LEFT JOIN experiments e ON e.id = r.experiment_id
UNION
SELECT c.digest, x.stage, c.name, r.id, e.path, e.overrides, 1
FROM (SELECT trajectory_id, step, execution_id, weights AS digest, 'weights@' || step AS name FROM checkpoints
      UNION ALL
      SELECT trajectory_id, step, execution_id, state, 'state@' || step FROM checkpoints WHERE state IS NOT NULL) c
JOIN executions x ON x.id = c.execution_id
LEFT JOIN runs r ON r.trajectory_id = c.trajectory_id AND c.step <= coalesce(r.steps, r.length, c.step)
LEFT JOIN experiments e ON e.id = r.experiment_id
ORDER BY 1, 4, 3
