INSERT INTO verdicts (run_id, verdict, cause, onset, recovered, sentence, advice, rules, seen, created_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
