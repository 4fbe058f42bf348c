-- The first ?3 executions that served the runs of the JSON list ?1 at the stages of the JSON list ?2, in the order of
-- the stages and of the first runs that they served. Each with its outputs and the runs that it served; the runs are
-- unordered, because `json_group_array(… ORDER BY asked.key)` returns the keys themselves in SQLite 3.51.
SELECT x.id, rs.stage, rs.item, x.stage_key, x.status, x.seconds, x.process,
       json_group_array(rs.run_id) FILTER (WHERE rs.how = 'executed') AS executed,
       json_group_array(rs.run_id) FILTER (WHERE rs.how <> 'executed') AS cached,
       (SELECT json_group_array(json_array(o.name, o.digest) ORDER BY o.name) FROM execution_outputs o
         WHERE o.execution_id = x.id) AS outputs
FROM json_each(?1) asked
CROSS JOIN run_stages rs ON rs.run_id = asked.value
JOIN executions x ON x.id = rs.execution_id
WHERE rs.stage IN (SELECT value FROM json_each(?2))
GROUP BY x.id
ORDER BY (SELECT key FROM json_each(?2) WHERE value = rs.stage), min(asked.key), rs.step, rs.item
LIMIT ?3
