SELECT step, loss, loss_kind, grad_norm FROM run_steps WHERE run = ?1 AND loss_kind IS NOT NULL ORDER BY step
