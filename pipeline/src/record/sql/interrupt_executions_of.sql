UPDATE executions SET status = 'interrupted', process = NULL, finished_at = ?2, error = 'the program was killed'
WHERE status = 'running' AND process = ?1
