-- A failed run is not resumed: it keeps its number, and its point gets a new run.
SELECT id, status, process FROM runs WHERE run_key = ?1 AND status <> 'failed' ORDER BY id DESC LIMIT 1
