-- How many of the runs of the JSON list ?1 have executions in ?2 stages, and how many executions serve these runs.
SELECT (SELECT count(*) FROM (SELECT 1 FROM json_each(?1) w JOIN run_stages rs ON rs.run_id = w.value
                              GROUP BY rs.run_id HAVING count(DISTINCT rs.stage) = ?2)),
       (SELECT count(DISTINCT execution_id) FROM run_stages WHERE run_id IN (SELECT value FROM json_each(?1)))
