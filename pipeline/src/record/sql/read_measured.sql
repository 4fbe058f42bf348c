-- The measure ?4 of steps 0 .. ?2 of trajectory ?1, ?3 steps to a row; rows without one are left out.
SELECT step / ?3 * ?3 AS first, count(*) AS steps, count(value) AS finite, min(value) AS minimum, max(value) AS maximum,
       coalesce(sum(value), 0.0) AS sum, min(CASE WHEN broken THEN step END) AS first_nonfinite
FROM (
    SELECT step,
           CASE ?4 WHEN 'learning_rate' THEN learning_rate WHEN 'grad_norm' THEN grad_norm
                   WHEN 'update_ratio' THEN update_ratio WHEN 'overshoot' THEN overshoot
                   WHEN 'logit_max' THEN logit_max WHEN 'entropy' THEN entropy WHEN 'sharpness' THEN sharpness END AS value,
           instr(coalesce(nonfinite, ''), ?4 || ':') > 0 AS broken
    FROM trajectory_steps
    WHERE trajectory_id = ?1 AND step < ?2
)
GROUP BY 1
HAVING count(value) > 0 OR max(broken)
ORDER BY 1
