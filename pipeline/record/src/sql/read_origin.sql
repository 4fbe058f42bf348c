SELECT t.identity, t.fields, coalesce(t.parent_step, 0) AS first,
       coalesce((SELECT max(s.step) + 1 FROM steps s WHERE s.trajectory_id = t.id), t.parent_step, 0) AS steps,
       r.id AS run, r.point
FROM trajectories t
JOIN runs r ON r.trajectory_id = t.id
WHERE t.identity = ?1
ORDER BY r.id
LIMIT 1
