-- ?1 is a JSON list of run numbers, or NULL for all.
SELECT s.run, s.experiment, s.point, s.status, s.seed, CAST(s.learning_rate AS REAL) AS learning_rate, s.steps,
       s.last_loss, s.last_loss_kind, s.best_loss, s.valid_perplexity,
       -- A finite loss of a log whose unit is unknown has no perplexity.
       iif(s.valid_perplexity IS NULL AND s.valid_loss_kind = 'finite' AND r.loss_unit IS NOT 'nats/token', NULL,
           s.valid_loss_kind) AS valid_loss_kind,
       s.test_perplexity,
       iif(s.test_perplexity IS NULL AND s.test_loss_kind = 'finite' AND r.loss_unit IS NOT 'nats/token', NULL,
           s.test_loss_kind) AS test_loss_kind, s.seconds,
       s.nonfinite_steps, s.first_nonfinite_step, s.error, s.created_at, s.verdict, r.name AS imported, r.process
FROM run_summary s
JOIN runs r ON r.id = s.run
WHERE ?1 IS NULL OR s.run IN (SELECT value FROM json_each(?1))
ORDER BY s.run
