INSERT INTO evaluations (execution_id, source, trajectory_id, step, split, loss, loss_kind, source_id, place, perplexity)
VALUES (?1, 'import', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT (trajectory_id, step, split) WHERE trajectory_id IS NOT NULL DO UPDATE SET
    loss = excluded.loss, loss_kind = excluded.loss_kind, perplexity = excluded.perplexity,
    source_id = excluded.source_id, place = excluded.place
