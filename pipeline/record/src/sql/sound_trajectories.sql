-- Each trajectory, its first own step, and the first run that shows it.
SELECT t.id, coalesce(t.parent_step, 0), (SELECT min(r.id) FROM runs r WHERE r.trajectory_id = t.id) FROM trajectories t
