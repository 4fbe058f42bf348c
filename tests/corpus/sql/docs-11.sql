SELECT run, step AS checkpoint, min(loss) AS loss, perplexity
FROM run_evaluations WHERE split = 'valid' AND source = 'evaluate' AND loss IS NOT NULL
GROUP BY run;
