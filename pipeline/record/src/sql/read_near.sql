-- Of the steps ?2 .. ?3 of trajectory ?1 those that are next to step ?4, or at which more was measured.
SELECT s.step, s.epoch, s.loss, s.loss_kind, s.learning_rate, s.grad_norm, s.clipped, s.update_ratio, s.overshoot,
       s.logit_max, s.entropy, s.sharpness, s.tokens, s.seconds, s.nonfinite
FROM trajectory_parts p
CROSS JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= max(p.first_step, ?2) AND s.step < min(p.end_step, ?3)
WHERE p.trajectory_id = ?1
  AND (abs(s.step - ?4) <= 1 OR s.logit_max IS NOT NULL OR s.nonfinite LIKE '%logit_max%')
ORDER BY s.step
