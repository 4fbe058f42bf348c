INSERT INTO confirmations (run_id, trial_id, cause, outcome, sentence, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (run_id, trial_id, cause) DO UPDATE
SET outcome = excluded.outcome, sentence = excluded.sentence, created_at = excluded.created_at
