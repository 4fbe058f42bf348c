SELECT run_id AS run, verdict, onset, recovered FROM verdicts WHERE run_id IN (SELECT value FROM json_each(?1))
