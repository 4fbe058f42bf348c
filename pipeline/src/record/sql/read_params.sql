-- Each value that a parameter has in the runs of the JSON list ?1, with those runs: most runs have the same.
SELECT group_concat(run_id) AS runs, name, value
FROM params
WHERE run_id IN (SELECT value FROM json_each(?1))
GROUP BY name, typeof(value), value
ORDER BY name
