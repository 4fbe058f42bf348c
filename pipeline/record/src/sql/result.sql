SELECT x.id, x.report, x.to_step FROM results r JOIN executions x ON x.id = r.execution_id WHERE r.stage_key = ?1
