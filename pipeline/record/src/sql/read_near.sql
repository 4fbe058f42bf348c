-- From the steps ?2 .. ?3 of trajectory ?1: step ?4 with its neighbours, and the steps with probes.
WITH near AS MATERIALIZED (
    SELECT coalesce((SELECT s.step FROM trajectory_parts p
                      CROSS JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= p.first_step AND s.step < min(p.end_step, ?4)
                      WHERE p.trajectory_id = ?1 ORDER BY p.first_step DESC, s.step DESC LIMIT 1), ?4) AS first,
           coalesce((SELECT s.step FROM trajectory_parts p
                      CROSS JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= max(p.first_step, ?4 + 1) AND s.step < p.end_step
                      WHERE p.trajectory_id = ?1 ORDER BY p.first_step, s.step LIMIT 1), ?4) AS last
)
SELECT s.step, s.epoch, s.loss, s.loss_kind, s.learning_rate, s.grad_norm, s.clipped, s.update_ratio, s.overshoot,
       s.logit_max, s.entropy, s.sharpness, s.tokens, s.seconds, s.nonfinite
FROM near
CROSS JOIN trajectory_parts p ON p.trajectory_id = ?1
CROSS JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= max(p.first_step, ?2) AND s.step < min(p.end_step, ?3)
WHERE s.step BETWEEN near.first AND near.last OR s.logit_max IS NOT NULL OR s.nonfinite LIKE '%logit_max%'
ORDER BY s.step
