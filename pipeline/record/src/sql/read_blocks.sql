-- The whole blocks of trajectory ?1 before step ?2; a block has ?3 steps.
SELECT block * ?3 AS first, steps, finite, minimum, maximum, sum, first_nonfinite
FROM trajectory_blocks
WHERE trajectory_id = ?1 AND block < ?2 / ?3
ORDER BY block
