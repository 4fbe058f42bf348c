-- ?1 is a JSON list of run numbers, or NULL for all.
SELECT s.run, s.experiment, s.point, s.status, s.seed, CAST(s.learning_rate AS REAL) AS learning_rate, s.steps,
       s.last_loss, s.last_loss_kind, s.best_loss, s.valid_perplexity, s.valid_loss_kind, s.test_perplexity,
       s.test_loss_kind, s.seconds,
       s.nonfinite_steps, s.first_nonfinite_step, s.error, s.created_at, s.verdict, r.process
FROM run_summary s
JOIN runs r ON r.id = s.run
WHERE ?1 IS NULL OR s.run IN (SELECT value FROM json_each(?1))
ORDER BY s.run
