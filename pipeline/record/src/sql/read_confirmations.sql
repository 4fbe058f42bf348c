SELECT run_id AS run, trial_id AS trial, cause, outcome, sentence FROM confirmations WHERE run_id IN (SELECT value FROM json_each(?1))
ORDER BY run_id, id
