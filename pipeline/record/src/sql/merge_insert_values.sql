INSERT OR IGNORE INTO series_values
SELECT o.id, v.step, v.value, v.value_kind, v.source_id, v.place
FROM series n JOIN series o ON o.trajectory_id = ?3 AND o.name = n.name JOIN series_values v ON v.series_id = n.id
WHERE n.trajectory_id = ?1
