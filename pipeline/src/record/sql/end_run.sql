-- Whoever no longer owns it, or never did, has nothing to write.
UPDATE runs
SET status = ?2, steps = coalesce(?3, steps), seconds = seconds + ?4, error = ?5, finished_at = ?6, process = NULL
WHERE id = ?1 AND status = 'running' AND process = ?7
