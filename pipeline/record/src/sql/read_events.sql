SELECT step, kind, message, created_at FROM run_events WHERE run = ?1 ORDER BY coalesce(step, -1), created_at
