-- The newest study of that name, if it is of imported runs: another import adds to it.
SELECT id FROM studies WHERE id = (SELECT max(id) FROM studies WHERE name = ?1) AND experiment_id IS NULL
