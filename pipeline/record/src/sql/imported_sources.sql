SELECT s.path, s.digest, s.bytes, s.format, s.columns
FROM run_stages rs JOIN sources s ON s.execution_id = rs.execution_id
WHERE rs.run_id = ?1 ORDER BY s.id
