DELETE FROM sources WHERE execution_id = ?2
