-- The rows of the view run_events for the runs of the JSON list ?1. SQLite scans a view that is a union in full when it
-- is queried with a list.
SELECT r.id AS run, e.step, e.kind, e.message, e.created_at, coalesce(e.step, -1) AS place
FROM runs r
JOIN trajectory_parts p ON p.trajectory_id = r.trajectory_id
JOIN events e ON e.trajectory_id = p.holder_id
 AND (e.step IS NULL AND p.holder_id = r.trajectory_id
      OR e.step >= p.first_step AND e.step < p.end_step AND e.step < coalesce(r.steps, r.length, 9223372036854775807))
WHERE r.id IN (SELECT value FROM json_each(?1))
UNION ALL
SELECT rs.run_id, e.step, e.kind, e.message, e.created_at, coalesce(e.step, -1)
FROM run_stages rs
JOIN events e ON e.execution_id = rs.execution_id
WHERE e.trajectory_id IS NULL AND rs.run_id IN (SELECT value FROM json_each(?1))
UNION ALL
SELECT e.run_id, e.step, e.kind, e.message, e.created_at, coalesce(e.step, -1)
FROM events e
WHERE e.run_id IN (SELECT value FROM json_each(?1))
ORDER BY 1, 6, 5
