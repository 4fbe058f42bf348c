SELECT step AS checkpoint, distinct_1, substr(text, 1, 60) AS text
FROM run_samples WHERE run = 1 AND decode = '"greedy"' ORDER BY step;
