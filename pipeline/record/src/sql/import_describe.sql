UPDATE runs SET loss_unit = coalesce(?2, loss_unit), vocabulary = coalesce(?3, vocabulary),
    steps = (SELECT max(step) + 1 FROM steps WHERE trajectory_id = runs.trajectory_id),
    last_evaluation = (SELECT max(e.id) FROM evaluations e WHERE e.trajectory_id = runs.trajectory_id)
WHERE id = ?1
