-- From now on, a run that has not ended shows its trajectory as it grows.
UPDATE runs SET steps = NULL, last_evaluation = NULL WHERE id = ?1 AND trajectory_id = ?2 AND status = 'running'
