INSERT INTO step_blocks (trajectory_id, block, steps, finite, minimum, maximum, sum, first_nonfinite, tokens, chain, last_step,
                         missing)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
ON CONFLICT (trajectory_id, block) DO UPDATE SET
    steps = excluded.steps, finite = excluded.finite, minimum = excluded.minimum, maximum = excluded.maximum,
    sum = excluded.sum, first_nonfinite = excluded.first_nonfinite, tokens = excluded.tokens, chain = excluded.chain,
    last_step = excluded.last_step, missing = excluded.missing
