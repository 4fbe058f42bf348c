-- The parameters of each run of the JSON list ?1, as one text: a row for each would take most of the time of many runs.
-- What the table `params` says of them is the same (`pipeline verify` compares the two).
SELECT id AS run, point FROM runs WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id
