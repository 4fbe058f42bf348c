-- The last block of trajectory ?1 before block ?2; there may be blocks without steps between them. The rows are those
-- of the view trajectory_blocks, but searched from the end.
SELECT b.chain, b.last_step
FROM trajectory_parts p
CROSS JOIN step_blocks b ON b.trajectory_id = p.holder_id AND b.block >= p.first_step / ?3 AND b.block < min(p.end_step / ?3, ?2)
WHERE p.trajectory_id = ?1
ORDER BY p.first_step DESC, b.block DESC
LIMIT 1
