DELETE FROM verdict_evidence WHERE run_id = ?1
