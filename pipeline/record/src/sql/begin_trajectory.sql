-- The threads and the CPU capability are fixed by the process that computes the first step. A fork, or a realisation
-- with a parent, keeps those of its parent.
UPDATE trajectories SET threads = ?2, cpu_capability = ?3
WHERE id = (SELECT n.id FROM trajectories n WHERE n.identity = ?1 ORDER BY n.realisation DESC LIMIT 1) AND parent_id IS NULL
  AND NOT EXISTS (SELECT 1 FROM steps s WHERE s.trajectory_id = trajectories.id)
  AND NOT EXISTS (SELECT 1 FROM checkpoints c WHERE c.trajectory_id = trajectories.id)
