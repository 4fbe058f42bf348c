SELECT run, max(logit_max) AS largest_logit, avg(entropy) AS mean_entropy, count(entropy) AS probed_steps
FROM run_steps GROUP BY run;
