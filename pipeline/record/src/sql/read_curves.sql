-- A column of steps as text, numbers separated by spaces: `x` if a value is not finite, nothing if it was not measured.
-- One row per [trajectory, first step, end] of the JSON list ?1, because passing on one row per step takes ten times as
-- long; ?2 names the column. From 1/128 to 16, where most losses are, a number is written as 2^59 times its value,
-- which is a whole number: exact, and written in a third of the time. SQLite's nineteen digits are enough to read the
-- others back to the bit, except a few above 1e100 or below 1e-100, which are off by a unit in the last place.
WITH asked AS MATERIALIZED (
    SELECT key AS place, value ->> 0 AS trajectory, value ->> 1 AS first_step, value ->> 2 AS end_step FROM json_each(?1)
)
SELECT a.place AS run, coalesce((
    SELECT group_concat(CASE WHEN value BETWEEN 0.0078125 AND 15.9 THEN CAST(value * 576460752303423488.0 AS INTEGER)
                             WHEN value IS NOT NULL THEN printf('%!.19g', value)
                             WHEN iif(?2 = 'loss', loss_kind IS NOT NULL, instr(nonfinite, ?2 || ':') > 0) THEN 'x' ELSE '' END, ' ')
    FROM (
        SELECT s.nonfinite, s.loss_kind,
               CASE ?2 WHEN 'loss' THEN s.loss WHEN 'learning_rate' THEN s.learning_rate WHEN 'grad_norm' THEN s.grad_norm
                       WHEN 'update_ratio' THEN s.update_ratio WHEN 'overshoot' THEN s.overshoot
                       WHEN 'logit_max' THEN s.logit_max WHEN 'entropy' THEN s.entropy
                       WHEN 'sharpness' THEN s.sharpness END AS value
        FROM trajectory_parts p
        CROSS JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= max(p.first_step, a.first_step)
                          AND s.step < min(p.end_step, a.end_step)
        WHERE p.trajectory_id = a.trajectory
        ORDER BY p.first_step, s.step
    )
), '') AS text
FROM asked a
