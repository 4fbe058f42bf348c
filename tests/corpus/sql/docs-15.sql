SELECT run, step AS checkpoint, decode, loop_period, loop_onset, round(seq_rep_4, 2) AS seq_rep_4, substr(text, 1, 40) AS text
FROM run_samples WHERE loop_period IS NOT NULL ORDER BY run, step;
