UPDATE evaluations SET source_id = coalesce((SELECT o.id FROM sources n JOIN sources o ON o.path = n.path AND o.execution_id = ?4 WHERE n.id = evaluations.source_id), source_id)
WHERE trajectory_id = ?1
