UPDATE executions SET log = ?2, log_from = ?3 WHERE id = ?1
