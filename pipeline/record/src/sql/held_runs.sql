-- How many of some runs have executions in all of so many stages, and of how many keys with an accepted result those are;
-- NULL where one has none.
WITH wanted (run) AS (SELECT value FROM json_each(?1)),
     served AS (SELECT w.run, rs.stage, x.stage_key,
                       EXISTS (SELECT 1 FROM results r WHERE r.stage_key = x.stage_key) AS accepted
                FROM wanted w JOIN run_stages rs ON rs.run_id = w.run JOIN executions x ON x.id = rs.execution_id)
SELECT (SELECT count(*) FROM (SELECT 1 FROM served GROUP BY run HAVING count(DISTINCT stage) = ?2)),
       (SELECT CASE WHEN min(accepted) THEN count(DISTINCT stage_key) END FROM served)
