SELECT run_id AS run, verdict, cause, onset, recovered, sentence, advice, rules, seen FROM verdicts WHERE run_id IN (SELECT value FROM json_each(?1))
