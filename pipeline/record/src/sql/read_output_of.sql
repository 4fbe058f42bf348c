SELECT rs.run_id AS run, o.digest
FROM run_stages rs
JOIN execution_outputs o ON o.execution_id = rs.execution_id
WHERE rs.run_id IN (SELECT value FROM json_each(?1)) AND rs.stage = ?2 AND o.name = ?3
