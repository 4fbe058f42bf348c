SELECT b.block * 1024 AS from_step, b.sum / b.finite AS mean, b.minimum, b.maximum, b.steps - b.finite AS nonfinite
FROM run_extent e
JOIN trajectory_blocks b ON b.trajectory_id = e.trajectory_id AND (b.block + 1) * 1024 <= e.steps
WHERE e.run = 1
UNION ALL
SELECT e.steps / 1024 * 1024, avg(s.loss), min(s.loss), max(s.loss), count(*) - count(s.loss)
FROM run_extent e
JOIN run_steps s ON s.run = e.run AND s.step >= e.steps / 1024 * 1024
WHERE e.run = 1 HAVING count(*) > 0
ORDER BY 1;
