-- A fork takes the threads and the CPU capability of its parent, the newest realisation of identity ?6. Without the
-- parent, nothing is inserted.
INSERT INTO trajectories (identity, fields, threads, cpu_capability, created_at, parent_id, parent_step)
SELECT ?1, ?2, coalesce(p.threads, ?3), coalesce(p.cpu_capability, ?4), ?5, p.id, ?7
FROM (SELECT 1)
LEFT JOIN trajectories p ON p.id = (SELECT n.id FROM trajectories n WHERE n.identity = ?6 ORDER BY n.realisation DESC LIMIT 1)
WHERE ?6 IS NULL OR p.id IS NOT NULL
ON CONFLICT DO NOTHING
