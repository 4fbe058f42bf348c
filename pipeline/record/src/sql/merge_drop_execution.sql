DELETE FROM executions WHERE id = ?2
