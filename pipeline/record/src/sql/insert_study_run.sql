INSERT INTO study_runs (study_id, position, run_id, point) VALUES (?1, ?2, ?3, ?4)
