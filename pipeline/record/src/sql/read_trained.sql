SELECT t.identity, coalesce(t.threads, 1) AS threads, coalesce(t.cpu_capability, '') AS cpu_capability
FROM runs r
JOIN trajectories t ON t.id = r.trajectory_id
WHERE r.id = ?1
