SELECT trial_id AS trial, cause, outcome, sentence FROM confirmations WHERE run_id = ?1 ORDER BY id
