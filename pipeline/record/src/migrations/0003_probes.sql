-- More of what is measured at probed steps: what an update took off the loss of its own tokens over what its gradient
-- promised, and what stands in for the sharpness.

ALTER TABLE steps ADD COLUMN overshoot REAL;
ALTER TABLE steps ADD COLUMN sharpness REAL;

DROP VIEW run_steps;
DROP VIEW trajectory_steps;

CREATE VIEW trajectory_steps AS
SELECT p.trajectory_id, s.step, s.epoch, s.loss, s.loss_kind, s.learning_rate, s.grad_norm, s.clipped, s.update_ratio,
       s.overshoot, s.logit_max, s.entropy, s.sharpness, s.tokens, s.seconds, s.nonfinite
FROM trajectory_parts p
JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= p.first_step AND s.step < p.end_step;

CREATE VIEW run_steps AS
SELECT r.id AS run, s.step, s.epoch, s.loss, s.loss_kind, s.learning_rate, s.grad_norm, s.clipped, s.update_ratio,
       s.overshoot, s.logit_max, s.entropy, s.sharpness, s.tokens, s.seconds, s.nonfinite
FROM runs r
JOIN trajectory_steps s ON s.trajectory_id = r.trajectory_id AND s.step < coalesce(r.steps, r.length);
