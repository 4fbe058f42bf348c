-- The last block of trajectory ?1 before block ?2, which need not be the one right before it. As trajectory_blocks has them,
-- found from the end.
SELECT b.chain, b.last_step
FROM trajectory_parts p
CROSS JOIN step_blocks b ON b.trajectory_id = p.holder_id AND b.block >= p.first_step / ?3 AND b.block < min(p.end_step / ?3, ?2)
WHERE p.trajectory_id = ?1
ORDER BY p.first_step DESC, b.block DESC
LIMIT 1
