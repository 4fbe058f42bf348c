SELECT run_id AS run, finding, step, sentence FROM verdict_findings WHERE run_id IN (SELECT value FROM json_each(?1)) ORDER BY run_id, position
