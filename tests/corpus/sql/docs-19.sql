SELECT l.run, x.stage, count(*) AS executions, sum(x.seconds) AS seconds, max(x.peak_memory) AS peak_bytes
FROM (SELECT DISTINCT run, execution FROM run_lineage WHERE how = 'executed') l
JOIN executions x ON x.uid = l.execution
GROUP BY l.run, x.stage ORDER BY l.run, seconds DESC;
