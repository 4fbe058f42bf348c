-- ?1 is a JSON list of [run, first, last]: those steps of each run. Each range is a single pair of bounds, because an
-- index is searched by no more than one pair.
SELECT r.id AS run, s.step, s.epoch, s.loss, s.loss_kind, s.learning_rate, s.grad_norm, s.clipped, s.update_ratio,
       s.overshoot, s.logit_max, s.entropy, s.sharpness, s.tokens, s.seconds, s.nonfinite
FROM json_each(?1) j
CROSS JOIN runs r ON r.id = j.value ->> 0
CROSS JOIN trajectory_parts p ON p.trajectory_id = r.trajectory_id
CROSS JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= max(p.first_step, j.value ->> 1)
 AND s.step <= min(p.end_step - 1, j.value ->> 2)
ORDER BY 1, 2
