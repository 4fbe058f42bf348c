SELECT run, avg(clipped) AS share_clipped, avg(grad_norm) AS mean_norm, max(grad_norm) AS largest,
       sum(coalesce(nonfinite LIKE '%grad_norm:%', 0)) AS nonfinite_norms
FROM run_steps GROUP BY run;
