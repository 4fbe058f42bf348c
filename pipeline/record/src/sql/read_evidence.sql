SELECT run_id AS run, about, signal, value, value_kind, bound, step, sentence FROM verdict_evidence WHERE run_id IN (SELECT value FROM json_each(?1))
ORDER BY run_id, position
