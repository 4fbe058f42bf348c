-- Two reals are told apart to the bit: SQLite stores no NaN and no negative zero.
SELECT a.step, a.loss AS loss_a, a.loss_kind AS kind_a, b.loss AS loss_b, b.loss_kind AS kind_b
FROM trajectory_steps a
JOIN trajectory_steps b ON b.trajectory_id = ?2 AND b.step = a.step
WHERE a.trajectory_id = ?1 AND a.step >= ?3 AND a.step < ?4 AND (a.loss IS NOT b.loss OR a.loss_kind <> b.loss_kind)
ORDER BY a.step
LIMIT 1
