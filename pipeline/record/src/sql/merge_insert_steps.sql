INSERT INTO steps (trajectory_id, step, epoch, loss, loss_kind, learning_rate, grad_norm, tokens, seconds, nonfinite, window, source_id, place)
SELECT ?3, step, epoch, loss, loss_kind, learning_rate, grad_norm, tokens, seconds, nonfinite, window, source_id, place FROM steps n
WHERE n.trajectory_id = ?1 AND NOT EXISTS (SELECT 1 FROM steps o WHERE o.trajectory_id = ?3 AND o.step = n.step)
