-- The newest imported run of a key.
SELECT max(id) FROM runs WHERE run_key = ?1 AND experiment_id IS NULL HAVING max(id) IS NOT NULL
