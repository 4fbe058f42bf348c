SELECT split, model, n, loss, perplexity, tokens FROM run_baselines WHERE run = ?1
ORDER BY CASE split WHEN 'train' THEN 0 WHEN 'valid' THEN 1 ELSE 2 END, n
