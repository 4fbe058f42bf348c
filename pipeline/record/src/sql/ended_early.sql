-- Steps with losses that are not finite form islands without gaps; the first that is long enough ended the training. If
-- there are none, the blocks show that, and no step is read.
WITH bad AS (
    SELECT step, step - row_number() OVER (ORDER BY step) AS island
    FROM trajectory_steps
    WHERE trajectory_id = ?1 AND loss_kind <> 'finite'
      AND step >= (SELECT min(first_nonfinite) FROM trajectory_blocks WHERE trajectory_id = ?1)
)
SELECT min(first) + ?2
FROM (SELECT min(step) AS first, count(*) AS n FROM bad GROUP BY island)
WHERE n >= ?2
