SELECT o.digest
FROM run_stages rs
JOIN execution_outputs o ON o.execution_id = rs.execution_id
WHERE rs.run_id = ?1 AND rs.stage = ?2 AND o.name = ?3
LIMIT 1
