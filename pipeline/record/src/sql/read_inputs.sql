SELECT rs.run_id AS run, i.name, i.digest
FROM run_stages rs
JOIN execution_inputs i ON i.execution_id = rs.execution_id
WHERE rs.run_id IN (SELECT value FROM json_each(?1)) AND rs.stage = ?2
ORDER BY rs.run_id, i.name
