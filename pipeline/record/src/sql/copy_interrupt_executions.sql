UPDATE main.executions SET status = 'interrupted', finished_at = ?1, process = NULL WHERE status = 'running'
