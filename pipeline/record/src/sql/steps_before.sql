-- The steps of a block before step ?3, which is where a fork began in its middle.
SELECT step, loss, loss_kind, tokens
FROM trajectory_steps
WHERE trajectory_id = ?1 AND step >= ?2 AND step < ?3
ORDER BY step
