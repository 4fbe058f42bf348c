-- The columns that verdicts read, of every step of run ?1 at which a loss was measured.
SELECT step, loss, learning_rate, grad_norm, clipped FROM run_steps WHERE run = ?1 AND loss_kind IS NOT NULL ORDER BY step
