SELECT i.name, i.digest
FROM run_stages rs
JOIN execution_inputs i ON i.execution_id = rs.execution_id
WHERE rs.run_id = ?1 AND rs.stage = ?2
ORDER BY i.name
