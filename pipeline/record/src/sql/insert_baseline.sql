INSERT INTO baselines (execution_id, split, model, n, loss, perplexity, tokens) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
