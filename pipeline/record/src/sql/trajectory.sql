-- The newest realisation of identity ?1.
SELECT t.id, coalesce(t.threads, 1), coalesce(t.cpu_capability, ''),
       coalesce((SELECT max(s.step) + 1 FROM steps s WHERE s.trajectory_id = t.id), t.parent_step, 0)
FROM trajectories t
WHERE t.identity = ?1
ORDER BY t.realisation DESC
LIMIT 1
