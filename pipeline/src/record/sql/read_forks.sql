SELECT step, parent FROM run_forks WHERE run = ?1 ORDER BY step DESC
