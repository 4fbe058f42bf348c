UPDATE executions
SET status = 'finished', process = NULL, finished_at = ?2, seconds = ?3, peak_memory = ?4, report = ?5, to_step = ?6,
    error = NULL
WHERE id = ?1
