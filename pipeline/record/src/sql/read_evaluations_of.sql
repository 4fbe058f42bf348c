-- The rows of the view run_evaluations for the runs of the JSON list ?1. SQLite scans a view that is a union in full
-- when it is queried with a list.
SELECT rs.run_id AS run, rs.step, e.split, e.loss, e.loss_kind, e.perplexity, e.tokens, e.seconds, e.source
FROM run_stages rs
JOIN evaluations e ON e.execution_id = rs.execution_id AND e.source = 'evaluate'
WHERE rs.stage = 'evaluate' AND rs.run_id IN (SELECT value FROM json_each(?1))
UNION ALL
SELECT r.id, e.step, e.split, e.loss, e.loss_kind, e.perplexity, e.tokens, e.seconds, e.source
FROM runs r
JOIN trajectory_parts p ON p.trajectory_id = r.trajectory_id
JOIN evaluations e ON e.trajectory_id = p.holder_id AND e.source <> 'evaluate'
 AND e.step >= p.first_step AND e.step < p.end_step AND e.step <= coalesce(r.steps, r.length, 9223372036854775807)
 -- A run evaluates its last step during training only for early stopping or to keep the best checkpoint; otherwise, an
 -- evaluation at that step belongs to a longer run.
 AND (e.source <> 'train' OR e.step < coalesce(r.steps, r.length, 9223372036854775807)
      OR EXISTS (SELECT 1 FROM params o WHERE o.run_id = r.id
                  AND (o.name = 'train.early_stopping.every' OR o.name = 'train.checkpoints.keep' AND o.value = 'best')))
 AND (r.last_evaluation IS NULL OR e.id <= r.last_evaluation)
WHERE r.id IN (SELECT value FROM json_each(?1))
UNION ALL
SELECT rs.run_id, coalesce(e.step, rs.step), e.split, e.loss, e.loss_kind, e.perplexity, e.tokens, e.seconds, e.source
FROM run_stages rs
JOIN evaluations e ON e.execution_id = rs.execution_id AND e.source IN ('command', 'import') AND e.trajectory_id IS NULL
WHERE rs.run_id IN (SELECT value FROM json_each(?1))
ORDER BY 1, 2, 3 DESC, 9
