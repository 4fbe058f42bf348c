-- The parameters of each run of the JSON list ?1 as a single text, because with one row per parameter, reading them
-- would dominate the time of many runs. The table `params` has the same values (`pipeline verify` compares the two).
SELECT id AS run, point FROM runs WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id
