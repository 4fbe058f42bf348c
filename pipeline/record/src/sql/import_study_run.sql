INSERT INTO study_runs (study_id, position, run_id, point)
SELECT ?1, count(*), ?2, '{}' FROM study_runs WHERE study_id = ?1
