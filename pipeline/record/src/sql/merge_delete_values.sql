DELETE FROM series_values WHERE series_id IN (SELECT id FROM series WHERE trajectory_id = ?3) AND NOT EXISTS (
    SELECT 1 FROM series o JOIN series n ON n.trajectory_id = ?1 AND n.name = o.name JOIN series_values v ON v.series_id = n.id
     WHERE o.id = series_values.series_id AND v.step = series_values.step AND v.value IS series_values.value
       AND v.value_kind = series_values.value_kind AND v.source_id IS series_values.source_id AND v.place IS series_values.place)
