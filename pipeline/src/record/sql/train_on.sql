-- From here on it shows its trajectory as it grows, until it ends again.
UPDATE runs SET steps = NULL WHERE id = ?1 AND trajectory_id = ?2
