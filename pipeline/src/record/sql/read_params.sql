-- ?1 is a JSON list of run numbers.
SELECT run_id AS run, name, value FROM params WHERE run_id IN (SELECT value FROM json_each(?1)) ORDER BY name, run_id
