-- The sums of the last block and of what follows it are made again; those of whole blocks stand.
DELETE FROM step_blocks WHERE trajectory_id = ?1 AND block > (SELECT coalesce(max(step), 0) FROM steps WHERE trajectory_id = ?1) / ?2
