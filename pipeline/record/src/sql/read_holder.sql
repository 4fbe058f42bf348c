SELECT t.identity
FROM trajectory_parts p
JOIN trajectories t ON t.id = p.holder_id
WHERE p.trajectory_id = ?1 AND p.first_step < ?2 AND p.end_step >= ?2
