-- The first step in ?3 .. ?4 at which the losses of trajectories ?1 and ?2 differ by more than ?5 and by more than ?6
-- times either, or are of different kinds.
SELECT a.step, a.loss AS loss_a, nullif(a.loss_kind, 'finite') AS kind_a, b.loss AS loss_b,
       nullif(b.loss_kind, 'finite') AS kind_b
FROM trajectory_parts p
CROSS JOIN steps a ON a.trajectory_id = p.holder_id AND a.step >= max(p.first_step, ?3) AND a.step < min(p.end_step, ?4)
CROSS JOIN trajectory_parts q ON q.trajectory_id = ?2 AND q.first_step <= a.step AND q.end_step > a.step
CROSS JOIN steps b ON b.trajectory_id = q.holder_id AND b.step = a.step
WHERE p.trajectory_id = ?1
  AND (abs(a.loss - b.loss) > max(?5, ?6 * max(abs(a.loss), abs(b.loss))) OR a.loss_kind <> b.loss_kind)
ORDER BY a.step
LIMIT 1
