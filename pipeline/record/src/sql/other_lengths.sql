-- Trajectories of trainings whose schedule reads their length, newest first, with the steps that they have.
SELECT t.fields, coalesce((SELECT max(s.step) + 1 FROM steps s WHERE s.trajectory_id = t.id), 0)
FROM trajectories t
WHERE t.fields LIKE '%"param.length"%'
ORDER BY t.id DESC
LIMIT 1000
