SELECT verdict, cause, onset, recovered, sentence, advice, rules, seen FROM verdicts WHERE run_id = ?1
