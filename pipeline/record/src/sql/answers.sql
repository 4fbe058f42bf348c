-- Newest last. A failed run is not resumed: it keeps its number, and its point gets a new run.
SELECT run_key, id, status, process FROM runs WHERE run_key IN (SELECT value FROM json_each(?1)) AND status <> 'failed' ORDER BY id
