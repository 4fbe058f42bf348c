-- The first step in ?3 .. ?4 at which the learning rates of trajectories ?1 and ?2, divided by ?5 and ?6, differ by
-- more than ?7.
SELECT min(a.step)
FROM trajectory_parts p
CROSS JOIN steps a ON a.trajectory_id = p.holder_id AND a.step >= max(p.first_step, ?3) AND a.step < min(p.end_step, ?4)
CROSS JOIN trajectory_parts q ON q.trajectory_id = ?2 AND q.first_step <= a.step AND q.end_step > a.step
CROSS JOIN steps b ON b.trajectory_id = q.holder_id AND b.step = a.step
WHERE p.trajectory_id = ?1 AND abs(a.learning_rate / ?5 - b.learning_rate / ?6) > ?7
