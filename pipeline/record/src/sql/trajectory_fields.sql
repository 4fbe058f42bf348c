SELECT fields FROM trajectories WHERE identity = ?1
