INSERT INTO steps (trajectory_id, step, epoch, loss, loss_kind, learning_rate, grad_norm, tokens, seconds, nonfinite, window,
                   source_id, place)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
-- A log may have the numbers of one step in several places.
ON CONFLICT (trajectory_id, step) DO UPDATE SET
    epoch = coalesce(excluded.epoch, epoch),
    loss = iif(excluded.loss_kind IS NULL, loss, excluded.loss),
    loss_kind = coalesce(excluded.loss_kind, loss_kind),
    learning_rate = coalesce(excluded.learning_rate, learning_rate),
    grad_norm = iif(excluded.grad_norm IS NULL AND excluded.nonfinite IS NULL, grad_norm, excluded.grad_norm),
    tokens = coalesce(excluded.tokens, tokens),
    seconds = coalesce(excluded.seconds, seconds),
    nonfinite = iif(excluded.grad_norm IS NULL, coalesce(excluded.nonfinite, nonfinite), NULL),
    window = iif(excluded.loss_kind IS NULL, window, excluded.window),
    source_id = iif(excluded.loss_kind IS NULL, source_id, excluded.source_id),
    place = iif(excluded.loss_kind IS NULL, place, excluded.place)

