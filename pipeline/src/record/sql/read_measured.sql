-- The measure ?4 of steps 0 .. ?2 of trajectory ?1, ?3 steps to a row; rows without one are left out.
SELECT step / ?3 * ?3 AS first, min(?3, ?2 - step / ?3 * ?3) AS steps, count(value) AS finite, min(value) AS minimum,
       max(value) AS maximum, coalesce(sum(value), 0.0) AS sum,
       min(CASE WHEN instr(nonfinite, ?4 || ':') > 0 THEN step END) AS first_nonfinite
FROM (
    SELECT step, nonfinite,
           CASE ?4 WHEN 'learning_rate' THEN learning_rate WHEN 'grad_norm' THEN grad_norm
                   WHEN 'update_ratio' THEN update_ratio WHEN 'overshoot' THEN overshoot
                   WHEN 'logit_max' THEN logit_max WHEN 'entropy' THEN entropy WHEN 'sharpness' THEN sharpness END AS value
    FROM trajectory_steps
    WHERE trajectory_id = ?1 AND step < ?2
)
WHERE value IS NOT NULL OR nonfinite IS NOT NULL
GROUP BY 1
HAVING finite > 0 OR first_nonfinite IS NOT NULL
ORDER BY 1
