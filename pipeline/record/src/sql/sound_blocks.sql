SELECT trajectory_id, block, steps, finite, minimum, maximum, sum, first_nonfinite, tokens, chain FROM step_blocks
