-- The losses of trajectories ?1 and ?2 at the steps in ?3 .. ?4 that both have; a kind only if it is not finite.
SELECT a.step, a.loss AS loss_a, nullif(a.loss_kind, 'finite') AS kind_a, b.loss AS loss_b,
       nullif(b.loss_kind, 'finite') AS kind_b
FROM trajectory_parts p
CROSS JOIN steps a ON a.trajectory_id = p.holder_id AND a.step >= max(p.first_step, ?3) AND a.step < min(p.end_step, ?4)
CROSS JOIN trajectory_parts q ON q.trajectory_id = ?2 AND q.first_step <= a.step AND q.end_step > a.step
CROSS JOIN steps b ON b.trajectory_id = q.holder_id AND b.step = a.step
WHERE p.trajectory_id = ?1 AND a.loss_kind IS NOT NULL AND b.loss_kind IS NOT NULL
ORDER BY a.step
