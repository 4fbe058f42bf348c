UPDATE executions SET status = ?2, process = NULL, finished_at = ?3, error = ?4, exit = ?5, seconds = ?6 WHERE id = ?1
