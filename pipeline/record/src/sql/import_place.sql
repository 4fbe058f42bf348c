INSERT INTO step_places (trajectory_id, step, series, source_id, place) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT DO UPDATE SET source_id = excluded.source_id, place = excluded.place
