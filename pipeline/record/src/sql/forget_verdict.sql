DELETE FROM verdicts WHERE run_id = ?1
