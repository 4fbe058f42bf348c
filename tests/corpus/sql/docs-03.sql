SELECT s.run, f.loss AS first_loss, max(s.loss) AS highest, count(*) - count(s.loss) AS nonfinite_steps
FROM run_steps s
JOIN run_steps f ON f.run = s.run AND f.step = 0
GROUP BY s.run
HAVING highest > 2 * first_loss;
