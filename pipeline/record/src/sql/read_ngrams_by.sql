-- The executions of the stage baselines that serve the runs of the JSON list ?1.
SELECT run_id, execution_id FROM run_stages
WHERE stage = 'baselines' AND run_id IN (SELECT value FROM json_each(?1))
