-- A worker serves several executions and writes one log, so a part ends where the next execution's begins.
SELECT rs.stage, rs.item, x.log, x.log_from,
       (SELECT min(n.log_from) FROM executions n WHERE n.log = x.log AND n.log_from > x.log_from) AS log_to
FROM run_stages rs
JOIN executions x ON x.id = rs.execution_id
WHERE rs.run_id = ?1 AND rs.stage IN ('train', 'evaluate') AND x.log IS NOT NULL
ORDER BY rs.stage DESC, rs.step, rs.item
