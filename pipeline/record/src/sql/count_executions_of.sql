-- How many executions served the runs of the JSON list ?1.
SELECT count(DISTINCT execution_id) FROM run_stages WHERE run_id IN (SELECT value FROM json_each(?1))
