-- The experiments of the runs of the JSON list ?1, in the order of the first run of each.
SELECT x.path, x.toml
FROM json_each(?1) j
JOIN runs r ON r.id = j.value
JOIN experiments x ON x.id = r.experiment_id
GROUP BY x.id
ORDER BY min(j.key)
