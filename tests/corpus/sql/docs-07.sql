SELECT step, a.loss AS loss_1, b.loss AS loss_2, b.loss - a.loss AS difference
FROM run_steps a JOIN run_steps b USING (step)
WHERE a.run = 1 AND b.run = 2 ORDER BY step LIMIT 20;
