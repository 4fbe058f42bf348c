-- ?1 is a JSON list of run numbers, ?2 one of stage names in their order. The first run that executed a stage is
-- searched for in the order of the index, so that the search ends at the first match.
SELECT rs.run_id AS run, rs.stage, rs.item, rs.step, rs.how, x.uid AS execution, x.stage_key, x.status, x.seconds,
       x.threads, x.device, x.cpu_capability, x.libtorch, x.from_step, x.to_step, x.report, x.error, x.process,
       (SELECT o.run_id FROM run_stages o WHERE o.execution_id = rs.execution_id AND o.how = 'executed'
         ORDER BY o.run_id LIMIT 1) AS executed_by
FROM run_stages rs
JOIN executions x ON x.id = rs.execution_id
WHERE rs.run_id IN (SELECT value FROM json_each(?1)) AND rs.stage IN (SELECT value FROM json_each(?2))
ORDER BY rs.run_id, (SELECT key FROM json_each(?2) WHERE value = rs.stage), rs.step, rs.item
