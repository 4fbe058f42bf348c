DELETE FROM verdict_checks WHERE run_id = ?1
