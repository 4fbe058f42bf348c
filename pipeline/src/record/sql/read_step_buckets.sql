-- Steps ?2 .. ?3 of trajectory ?1, ?4 of them to a row. The sum of losses near the largest float may be infinite.
SELECT step / ?4 * ?4 AS first, count(*) AS steps, count(loss) AS finite, min(loss) AS minimum, max(loss) AS maximum,
       coalesce(sum(loss), 0.0) AS sum, min(CASE WHEN loss IS NULL THEN step END) AS first_nonfinite
FROM trajectory_steps
WHERE trajectory_id = ?1 AND step >= ?2 AND step < ?3
GROUP BY 1
ORDER BY 1
