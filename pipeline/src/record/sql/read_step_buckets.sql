-- Steps ?2 .. ?3 of trajectory ?1, ?4 of them to a row. The sum of losses near the largest float may be infinite. The range
-- stands in one pair of bounds, for an index is searched by no more.
SELECT s.step / ?4 * ?4 AS first, count(*) AS steps, count(s.loss) AS finite, min(s.loss) AS minimum,
       max(s.loss) AS maximum, coalesce(sum(s.loss), 0.0) AS sum,
       min(CASE WHEN s.loss IS NULL THEN s.step END) AS first_nonfinite
FROM trajectory_parts p
CROSS JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= max(p.first_step, ?2) AND s.step < min(p.end_step, ?3)
WHERE p.trajectory_id = ?1
GROUP BY 1
ORDER BY 1
