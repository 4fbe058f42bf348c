INSERT INTO evaluations (execution_id, source, trajectory_id, step, split, loss, loss_kind, perplexity, tokens, seconds)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
ON CONFLICT DO NOTHING
