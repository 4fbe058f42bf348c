INSERT INTO steps (trajectory_id, step, epoch, loss, loss_kind, learning_rate, grad_norm, clipped, update_ratio,
                   overshoot, logit_max, entropy, sharpness, tokens, seconds, nonfinite, window) 
