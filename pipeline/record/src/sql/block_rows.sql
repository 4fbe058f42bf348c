-- A trajectory's own steps, from which its blocks are computed.
SELECT step, loss, loss_kind, tokens FROM steps WHERE trajectory_id = ?1 ORDER BY step
