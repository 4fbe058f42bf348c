SELECT steps, finite, minimum, maximum, sum, first_nonfinite, tokens, chain, last_step, missing
FROM step_blocks WHERE trajectory_id = ?1 AND block = ?2
