INSERT INTO samples (execution_id, position, decode, prompt, text, tokens, distinct_1, distinct_2, seq_rep_4,
                     loop_period, loop_onset, why_empty)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
