SELECT t.identity, t.threads, t.cpu_capability
FROM runs r
JOIN trajectories t ON t.id = r.trajectory_id
WHERE r.id = ?1
