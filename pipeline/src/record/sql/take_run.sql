-- Only if nobody took it since it was looked at: ?3 is the process that it had then.
UPDATE runs SET status = 'running', process = ?2, error = NULL, finished_at = NULL
WHERE id = ?1 AND status <> 'finished' AND process IS ?3
