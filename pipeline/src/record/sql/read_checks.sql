SELECT run_id AS run, name, made, note FROM verdict_checks WHERE run_id IN (SELECT value FROM json_each(?1)) ORDER BY run_id, position
