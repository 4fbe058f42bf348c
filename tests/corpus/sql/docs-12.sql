SELECT e.step AS checkpoint, avg(s.loss) AS train_loss, count(*) - count(s.loss) AS nonfinite, e.loss AS valid_loss
FROM run_evaluations e
JOIN run_steps s ON s.run = e.run AND s.step BETWEEN e.step - 50 AND e.step - 1
WHERE e.run = 1 AND e.split = 'valid' AND e.source = 'evaluate' GROUP BY e.step;
