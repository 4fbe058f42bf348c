-- For each run of the JSON list ?1 (NULL for all): the rules' version of its verdict, the state of the run that the
-- verdict was made for, and the run's state now. A replay that fills in probes is an execution too.
SELECT r.id AS run, v.rules, v.seen,
       printf('%s %d %d %d', r.status, e.steps,
              (SELECT count(*) FROM run_stages rs JOIN executions x ON x.id = rs.execution_id
                WHERE rs.run_id = r.id AND x.status = 'finished'),
              (SELECT max(rs.execution_id) FROM run_stages rs WHERE rs.run_id = r.id)) AS now
FROM runs r
JOIN run_extent e ON e.run = r.id
LEFT JOIN verdicts v ON v.run_id = r.id
WHERE ?1 IS NULL OR r.id IN (SELECT value FROM json_each(?1))
ORDER BY r.id
