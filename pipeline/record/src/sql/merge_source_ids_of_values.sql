UPDATE series_values SET source_id = coalesce((SELECT o.id FROM sources n JOIN sources o ON o.path = n.path AND o.execution_id = ?4 WHERE n.id = series_values.source_id), source_id)
WHERE series_id IN (SELECT id FROM series WHERE trajectory_id = ?1)
