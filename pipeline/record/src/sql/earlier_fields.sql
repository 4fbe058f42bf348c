SELECT id, fields FROM executions WHERE stage = ?1 AND status = 'finished' ORDER BY id DESC LIMIT 1000
