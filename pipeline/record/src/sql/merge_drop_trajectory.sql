DELETE FROM trajectories WHERE id = ?1
