UPDATE studies SET points = (SELECT count(*) FROM study_runs WHERE study_id = ?1) WHERE id = ?1
