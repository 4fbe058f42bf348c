-- The whole blocks of trajectory ?1 before step ?2.
SELECT block * 1024 AS first, steps, finite, minimum, maximum, sum, first_nonfinite
FROM trajectory_blocks
WHERE trajectory_id = ?1 AND block < ?2 / 1024
ORDER BY block
