-- The newest realisation of identity ?1 that a run shows.
SELECT t.identity, t.fields,
       (SELECT min(p.first_step) FROM trajectory_parts p JOIN trajectories h ON h.id = p.holder_id
         WHERE p.trajectory_id = t.id AND h.identity = t.identity) AS first,
       coalesce((SELECT max(s.step) + 1 FROM steps s WHERE s.trajectory_id = t.id), t.parent_step, 0) AS steps,
       r.id AS run, r.point
FROM trajectories t
JOIN runs r ON r.trajectory_id = t.id
WHERE t.identity = ?1
ORDER BY t.realisation DESC, r.id
LIMIT 1
