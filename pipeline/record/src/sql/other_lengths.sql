-- Trajectories whose schedule depends on their length, newest first, with their numbers of steps.
SELECT t.fields, coalesce((SELECT max(s.step) + 1 FROM steps s WHERE s.trajectory_id = t.id), 0)
FROM trajectories t
WHERE t.fields LIKE '%"param.length"%'
ORDER BY t.id DESC
LIMIT 1000
