SELECT finding, step, sentence FROM verdict_findings WHERE run_id = ?1 ORDER BY position
