SELECT x.uid, x.stage, x.log, CASE x.status WHEN 'running' THEN x.process END AS process,
       coalesce((SELECT min(rs.run_id) FROM run_stages rs WHERE rs.execution_id = x.id),
                (SELECT min(r.id) FROM runs r WHERE r.trajectory_id = x.trajectory_id)) AS run
FROM executions x
