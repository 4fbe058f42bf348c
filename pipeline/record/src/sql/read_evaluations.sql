SELECT step, split, loss, loss_kind, perplexity, tokens, seconds, source
FROM run_evaluations
WHERE run = ?1
ORDER BY step, split DESC, source
