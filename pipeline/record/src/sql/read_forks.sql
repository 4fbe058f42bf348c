SELECT run, step, parent FROM run_forks WHERE run IN (SELECT value FROM json_each(?1)) ORDER BY run, step DESC
