-- The next realisation of identity ?1. Its parent is the trajectory that computed checkpoint ?2 of the newest
-- realisation, as in a fork; from step 0 it has no parent. If the identity is itself a fork, a realisation can't begin
-- before the fork.
INSERT INTO trajectories (identity, realisation, fields, threads, cpu_capability, created_at, parent_id, parent_step)
SELECT t.identity, t.realisation + 1, t.fields, t.threads, t.cpu_capability, ?3, p.holder_id, iif(p.holder_id IS NULL, NULL, ?2)
FROM trajectories t
LEFT JOIN trajectory_parts p ON p.trajectory_id = t.id AND p.first_step < ?2 AND p.end_step >= ?2
WHERE t.identity = ?1
  AND ?2 >= (SELECT min(o.first_step) FROM trajectory_parts o JOIN trajectories h ON h.id = o.holder_id
              WHERE o.trajectory_id = t.id AND h.identity = t.identity)
ORDER BY t.realisation DESC
LIMIT 1
