SELECT r.trajectory_id, rs.execution_id
FROM runs r JOIN run_stages rs ON rs.run_id = r.id
WHERE r.id = ?1 AND r.trajectory_id IS NOT NULL
