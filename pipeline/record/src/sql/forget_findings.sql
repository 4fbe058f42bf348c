DELETE FROM verdict_findings WHERE run_id = ?1
