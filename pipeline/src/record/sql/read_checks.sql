SELECT name, made, note FROM verdict_checks WHERE run_id = ?1 ORDER BY position
