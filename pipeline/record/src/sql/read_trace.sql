-- What a verdict reads of every step of run ?1.
SELECT step, loss, learning_rate, grad_norm, clipped FROM run_steps WHERE run = ?1 ORDER BY step
