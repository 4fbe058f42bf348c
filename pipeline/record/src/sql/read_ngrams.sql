-- ?1 is a JSON list of executions of the stage baselines.
SELECT execution_id AS run, split, model, n, loss, perplexity, tokens FROM baselines
WHERE execution_id IN (SELECT value FROM json_each(?1))
ORDER BY execution_id, CASE split WHEN 'train' THEN 0 WHEN 'valid' THEN 1 ELSE 2 END, n
