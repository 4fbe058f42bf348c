-- ?1 is a JSON list of [trajectory, steps, width]: of each its first steps, so many of them to a row. The list is read once, and
-- not for every step.
WITH asked AS MATERIALIZED (
    SELECT key AS place, value ->> 0 AS trajectory, value ->> 1 AS steps, value ->> 2 AS width FROM json_each(?1)
)
SELECT a.place AS run, s.step / a.width * a.width AS first, count(*) AS steps, count(s.loss) AS finite,
       min(s.loss) AS minimum, max(s.loss) AS maximum, coalesce(sum(s.loss), 0.0) AS sum,
       min(CASE WHEN s.loss IS NULL THEN s.step END) AS first_nonfinite
FROM asked a
CROSS JOIN trajectory_parts p ON p.trajectory_id = a.trajectory
CROSS JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= p.first_step AND s.step < min(p.end_step, a.steps)
GROUP BY 1, 2
ORDER BY 1, 2
