SELECT run_id FROM study_runs WHERE study_id = ?1 ORDER BY position
