-- All realisations have the same.
SELECT fields FROM trajectories WHERE identity = ?1 LIMIT 1
