INSERT OR IGNORE INTO evaluations (execution_id, source, trajectory_id, step, split, loss, loss_kind, perplexity, source_id, place)
SELECT ?4, source, ?3, step, split, loss, loss_kind, perplexity, source_id, place FROM evaluations WHERE trajectory_id = ?1
