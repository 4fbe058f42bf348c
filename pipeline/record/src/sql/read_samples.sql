SELECT run, step, position, decode, prompt, text, tokens, distinct_1, distinct_2, seq_rep_4, loop_period, loop_onset,
       why_empty
FROM run_samples
WHERE run IN (SELECT value FROM json_each(?1))
ORDER BY run, step, position
