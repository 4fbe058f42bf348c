-- The steps of trajectory ?1 from the start of a block, ?2, to step ?3, where a fork begins within the block.
SELECT step, loss, loss_kind, tokens
FROM trajectory_steps
WHERE trajectory_id = ?1 AND step >= ?2 AND step < ?3
ORDER BY step
