SELECT s.step, s.loss, s.loss_kind, s.learning_rate, s.grad_norm, s.clipped, s.nonfinite
FROM run_steps s
JOIN run_summary r ON r.run = s.run AND s.step BETWEEN r.first_nonfinite_step - 5 AND r.first_nonfinite_step + 1
WHERE s.run = (SELECT min(run) FROM run_summary WHERE nonfinite_steps > 0) ORDER BY s.step;
