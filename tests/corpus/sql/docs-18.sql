SELECT digest, name, count(DISTINCT run) AS runs, min(CASE how WHEN 'executed' THEN run END) AS made_by
FROM run_lineage WHERE direction = 'output' GROUP BY digest, name HAVING runs > 1;
