-- The number of steps that trajectories ?1 and ?2 share by descent: those before the later fork.
SELECT coalesce(max(min(a.end_step, b.end_step)), 0)
FROM trajectory_parts a
JOIN trajectory_parts b ON b.trajectory_id = ?2 AND b.holder_id = a.holder_id
WHERE a.trajectory_id = ?1
