UPDATE executions SET status = 'interrupted', process = NULL, finished_at = ?2, error = ?3
WHERE status = 'running' AND process = ?1
