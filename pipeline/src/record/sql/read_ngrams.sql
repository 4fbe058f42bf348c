SELECT run, split, model, n, loss, perplexity, tokens FROM run_baselines WHERE run IN (SELECT value FROM json_each(?1))
ORDER BY run, CASE split WHEN 'train' THEN 0 WHEN 'valid' THEN 1 ELSE 2 END, n
