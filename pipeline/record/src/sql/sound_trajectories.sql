-- Each trajectory, its first own step, the first run that shows it, and whether gaps in its steps are damage, as they
-- are if this program's worker computed them.
SELECT t.id, coalesce(t.parent_step, 0), (SELECT min(r.id) FROM runs r WHERE r.trajectory_id = t.id),
       EXISTS (SELECT 1 FROM executions x WHERE x.trajectory_id = t.id AND x.libtorch IS NOT NULL)
FROM trajectories t
