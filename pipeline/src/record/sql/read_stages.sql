SELECT rs.stage, rs.item, rs.step, rs.how, x.uid AS execution, x.stage_key, x.status, x.seconds, x.threads, x.device,
       x.cpu_capability, x.libtorch, x.from_step, x.to_step, x.report, x.error, x.process,
       (SELECT min(o.run_id) FROM run_stages o WHERE o.execution_id = rs.execution_id AND o.how = 'executed') AS executed_by
FROM run_stages rs
JOIN executions x ON x.id = rs.execution_id
WHERE rs.run_id = ?1
ORDER BY CASE rs.stage WHEN 'tokenize' THEN 0 WHEN 'vocab' THEN 1 WHEN 'batch' THEN 2 WHEN 'train' THEN 3
                       WHEN 'evaluate' THEN 4 WHEN 'sample' THEN 5 ELSE 6 END,
         rs.stage, rs.step, rs.item
