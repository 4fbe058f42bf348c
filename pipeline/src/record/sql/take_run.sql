UPDATE runs SET status = 'running', process = ?2, error = NULL, finished_at = NULL WHERE id = ?1
