-- A file that is new to the run.
UPDATE sources SET execution_id = ?4
WHERE execution_id = ?2 AND path NOT IN (SELECT path FROM sources WHERE execution_id = ?4)
