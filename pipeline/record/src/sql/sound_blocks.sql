SELECT trajectory_id, block, steps, finite, minimum, maximum, sum, first_nonfinite, tokens, chain, last_step, missing FROM step_blocks
