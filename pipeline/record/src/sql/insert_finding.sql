INSERT INTO verdict_findings (run_id, position, finding, step, sentence) VALUES (?1, ?2, ?3, ?4, ?5)
