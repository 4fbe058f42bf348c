-- The first step in ?3 .. ?4 at which trajectories ?1 and ?2 both have a loss and the losses differ in any bit: SQLite
-- stores no NaN and no negative zero. Each range is a single pair of bounds, because an index is searched by no more
-- than one pair.
SELECT a.step, a.loss AS loss_a, a.loss_kind AS kind_a, b.loss AS loss_b, b.loss_kind AS kind_b
FROM trajectory_parts p
CROSS JOIN steps a ON a.trajectory_id = p.holder_id AND a.step >= max(p.first_step, ?3) AND a.step < min(p.end_step, ?4)
CROSS JOIN trajectory_parts q ON q.trajectory_id = ?2 AND q.first_step <= a.step AND q.end_step > a.step
CROSS JOIN steps b ON b.trajectory_id = q.holder_id AND b.step = a.step
WHERE p.trajectory_id = ?1 AND a.loss_kind IS NOT NULL AND b.loss_kind IS NOT NULL
  AND (a.loss IS NOT b.loss OR a.loss_kind <> b.loss_kind)
ORDER BY a.step
LIMIT 1
