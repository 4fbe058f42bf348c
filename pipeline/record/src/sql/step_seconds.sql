SELECT coalesce(sum(seconds), 0.0) FROM run_steps WHERE run = ?1 AND step BETWEEN ?2 AND ?3
