-- Chains are cumulative: if two are equal, so is everything before them, and those steps need not be compared.
SELECT coalesce(max(a.last_step) + 1, 0)
FROM trajectory_blocks a
JOIN trajectory_blocks b ON b.trajectory_id = ?2 AND b.block = a.block AND b.chain = a.chain AND b.steps = a.steps
WHERE a.trajectory_id = ?1
