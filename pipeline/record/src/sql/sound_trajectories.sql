-- Each trajectory, its first own step, the first run that shows it, and whether its steps must be without gaps: those that
-- a worker of this program computes.
SELECT t.id, coalesce(t.parent_step, 0), (SELECT min(r.id) FROM runs r WHERE r.trajectory_id = t.id),
       EXISTS (SELECT 1 FROM executions x WHERE x.trajectory_id = t.id AND x.libtorch IS NOT NULL)
FROM trajectories t
