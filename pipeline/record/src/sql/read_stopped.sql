-- ?1 is a JSON list of the stages in their order. Interrupted runs all of whose executions are finished, and the last
-- stage that each reached.
WITH ended AS (
    SELECT rs.run_id, max(place.key) AS last
    FROM runs r
    JOIN run_stages rs ON rs.run_id = r.id
    JOIN executions x ON x.id = rs.execution_id
    JOIN json_each(?1) place ON place.value = rs.stage
    WHERE r.status = 'interrupted' AND r.error IS NULL
    GROUP BY rs.run_id
    HAVING min(x.status = 'finished') = 1
)
SELECT run_id, (SELECT value FROM json_each(?1) WHERE key = last) AS stage FROM ended
