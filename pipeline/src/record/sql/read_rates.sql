SELECT step, learning_rate, loss FROM run_steps WHERE run = ?1 ORDER BY step
