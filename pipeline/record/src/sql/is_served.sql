SELECT EXISTS (SELECT 1 FROM run_stages WHERE run_id = ?1 AND stage = ?2)
