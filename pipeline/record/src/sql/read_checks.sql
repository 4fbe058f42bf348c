-- The checks of each run of the JSON list ?1, as one list of [position, name, made, note]: a run has a dozen.
SELECT run_id AS run, json_group_array(json_array(position, name, made, note)) AS list
FROM verdict_checks
WHERE run_id IN (SELECT value FROM json_each(?1))
GROUP BY run_id
