SELECT e.step, e.loss
FROM trajectory_parts p
JOIN evaluations e ON e.trajectory_id = p.holder_id AND e.source = 'train' AND e.split = 'valid'
 AND e.step >= p.first_step AND e.step < p.end_step
WHERE p.trajectory_id = ?1
