-- A trajectory's own steps, of which its blocks are made.
SELECT step, loss, loss_kind, tokens FROM steps WHERE trajectory_id = ?1 ORDER BY step
