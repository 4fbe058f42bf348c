-- Every step in order, with its kind only if the loss is neither finite nor missing.
SELECT trajectory_id, step, loss, nullif(loss_kind, 'finite') AS kind, tokens FROM steps ORDER BY trajectory_id, step
