-- The checkpoints of trajectory ?1, including those that its parent realisations computed before it began.
SELECT c.step, c.weights, c.state
FROM trajectories t
JOIN trajectory_parts p ON p.trajectory_id = t.id
JOIN trajectories h ON h.id = p.holder_id AND h.identity = t.identity
JOIN checkpoints c ON c.trajectory_id = h.id AND c.step >= p.first_step AND c.step <= p.end_step
WHERE t.id = ?1
ORDER BY p.first_step, c.step
