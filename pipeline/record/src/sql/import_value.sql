INSERT INTO series_values (series_id, step, value, value_kind, source_id, place) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT DO UPDATE SET value = excluded.value, value_kind = excluded.value_kind,
    source_id = excluded.source_id, place = excluded.place
