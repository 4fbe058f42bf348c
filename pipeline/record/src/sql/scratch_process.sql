SELECT CASE status WHEN 'running' THEN process END FROM executions WHERE uid = ?1
