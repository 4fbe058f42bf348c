-- A worker serves several executions and writes one log, so a part ends where the next execution's begins. A run
-- whose training was resumed has several executions: all that computed a part of its trajectory.
WITH mine AS (
    SELECT execution_id AS id, stage, step, item FROM run_stages WHERE run_id = ?1
    UNION
    SELECT x.id, x.stage, NULL, '' FROM executions x JOIN runs r ON r.trajectory_id = x.trajectory_id WHERE r.id = ?1
)
SELECT m.stage, m.item, x.log, x.log_from,
       (SELECT min(n.log_from) FROM executions n WHERE n.log = x.log AND n.log_from > x.log_from) AS log_to
FROM mine m
JOIN executions x ON x.id = m.id
WHERE x.log IS NOT NULL
ORDER BY x.id
