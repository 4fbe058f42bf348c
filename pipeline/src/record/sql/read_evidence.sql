SELECT about, signal, value, value_kind, bound, step, sentence FROM verdict_evidence WHERE run_id = ?1 ORDER BY position
