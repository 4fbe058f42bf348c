-- The probed steps of run ?1, with all columns. `nonfinite` names probes that were not finite; a gradient norm that was
-- not finite does not make a step a probed one.
SELECT step, epoch, loss, loss_kind, learning_rate, grad_norm, clipped, update_ratio, overshoot, logit_max, entropy,
       sharpness, tokens, seconds, nonfinite
FROM run_steps
WHERE run = ?1 AND (update_ratio IS NOT NULL OR logit_max IS NOT NULL OR nonfinite LIKE '%update_ratio:%'
       OR nonfinite LIKE '%logit_max:%')
ORDER BY step
