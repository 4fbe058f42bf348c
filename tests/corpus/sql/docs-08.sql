SELECT name, a.value AS value_1, b.value AS value_2
FROM (SELECT * FROM run_params WHERE run = 1) a
FULL JOIN (SELECT * FROM run_params WHERE run = 3) b USING (name)
WHERE a.value IS NOT b.value;
