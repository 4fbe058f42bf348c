-- ?2 is a JSON list of the stages in their order.
SELECT rs.stage, rs.item, rs.step, rs.how, x.uid AS execution, x.stage_key, x.status, x.seconds, x.threads, x.device,
       x.cpu_capability, x.libtorch, x.from_step, x.to_step, x.report, x.error, x.process,
       (SELECT min(o.run_id) FROM run_stages o WHERE o.execution_id = rs.execution_id AND o.how = 'executed') AS executed_by
FROM run_stages rs
JOIN executions x ON x.id = rs.execution_id
LEFT JOIN json_each(?2) place ON place.value = rs.stage
WHERE rs.run_id = ?1
ORDER BY coalesce(place.key, 1000), rs.stage, rs.step, rs.item
