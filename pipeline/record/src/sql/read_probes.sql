-- The steps of run ?1 at which more was measured, with all that was. What was measured and was no number is named; a norm
-- that was none is no probe.
SELECT step, epoch, loss, loss_kind, learning_rate, grad_norm, clipped, update_ratio, overshoot, logit_max, entropy,
       sharpness, tokens, seconds, nonfinite
FROM run_steps
WHERE run = ?1 AND (update_ratio IS NOT NULL OR logit_max IS NOT NULL OR nonfinite LIKE '%update_ratio:%'
       OR nonfinite LIKE '%logit_max:%')
ORDER BY step
