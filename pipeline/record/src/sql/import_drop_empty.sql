-- Steps of which the log took everything back.
DELETE FROM steps
WHERE trajectory_id = ?1 AND loss_kind IS NULL AND learning_rate IS NULL AND grad_norm IS NULL AND nonfinite IS NULL
  AND tokens IS NULL AND seconds IS NULL
