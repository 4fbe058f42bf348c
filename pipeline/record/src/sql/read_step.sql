SELECT step, epoch, loss, loss_kind, learning_rate, grad_norm, clipped, update_ratio, overshoot, logit_max, entropy,
       sharpness, tokens, seconds, nonfinite
FROM run_steps
WHERE run = ?1 AND step = ?2
