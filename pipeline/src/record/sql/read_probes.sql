-- The steps of run ?1 at which more was measured, with all that was.
SELECT step, epoch, loss, loss_kind, learning_rate, grad_norm, clipped, update_ratio, overshoot, logit_max, entropy,
       sharpness, tokens, seconds, nonfinite
FROM run_steps
WHERE run = ?1 AND (update_ratio IS NOT NULL OR logit_max IS NOT NULL OR nonfinite IS NOT NULL)
ORDER BY step
