INSERT INTO verdict_evidence (run_id, position, about, signal, value, value_kind, bound, step, sentence)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
