-- All realisations have the same fields.
SELECT fields FROM trajectories WHERE identity = ?1 LIMIT 1
