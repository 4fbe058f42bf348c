SELECT step / 50 * 50 AS from_step, avg(loss) AS mean, min(loss) AS least, max(loss) AS greatest,
       count(*) - count(loss) AS nonfinite
FROM run_steps WHERE run = 1 GROUP BY 1 ORDER BY 1;
