-- Rows that contradict other rows, or that are missing although other rows require them.
SELECT 'run' || r.id || ': its rows in the table params differ from the column runs.point'
FROM runs r
WHERE (SELECT count(*) FROM params p WHERE p.run_id = r.id) <> (SELECT count(*) FROM json_each(r.point))
   OR EXISTS (SELECT 1 FROM json_each(r.point) e LEFT JOIN params p ON p.run_id = r.id AND p.name = e.key
               WHERE p.name IS NULL
                  OR typeof(p.value) <> typeof(e.value) AND NOT (typeof(p.value) = 'integer' AND e.type IN ('true', 'false'))
                  OR typeof(e.value) IN ('integer', 'text') AND p.value <> e.value
                  -- SQLite does not read the last digit of a decimal exactly.
                  OR typeof(e.value) = 'real' AND abs(p.value - e.value) > 1e-12 * abs(e.value))
UNION ALL
SELECT 'run' || r.id || ': finished after ' || r.steps || ' steps, but fewer are recorded'
FROM runs r JOIN run_extent e ON e.run = r.id
WHERE r.status = 'finished' AND e.steps < r.steps
UNION ALL
SELECT 'study ' || s.name || ' (' || s.id || '): '
       || (SELECT count(*) FROM study_runs sr WHERE sr.study_id = s.id) || ' of ' || s.points || ' points are recorded'
FROM studies s
WHERE s.points <> (SELECT count(*) FROM study_runs sr WHERE sr.study_id = s.id)
UNION ALL
SELECT 'result ' || substr(a.stage_key, 1, 12) || '…: execution ' || x.id || ' is not finished or has a different key'
FROM results a JOIN executions x ON x.id = a.execution_id
WHERE x.status <> 'finished' OR x.stage_key <> a.stage_key
UNION ALL
SELECT 'trajectory ' || trajectory_id || ': part of its lineage is missing'
FROM (SELECT p.trajectory_id, p.first_step,
             lag(p.end_step, 1, 0) OVER (PARTITION BY p.trajectory_id ORDER BY p.first_step) AS before
        FROM trajectory_parts p)
WHERE first_step <> before
UNION ALL
SELECT 'trajectory ' || t.id || ': the last part of its lineage is missing'
FROM trajectories t
WHERE NOT EXISTS (SELECT 1 FROM trajectory_parts p
                   WHERE p.trajectory_id = t.id AND p.holder_id = t.id AND p.end_step = 9223372036854775807)
UNION ALL
SELECT 'run' || r.id || ': has ' || r.steps || ' steps, but its training ended after ' || x.to_step
FROM runs r
JOIN run_stages rs ON rs.run_id = r.id AND rs.stage = 'train'
-- A fork may have recomputed steps of its parent, which belong to another trajectory.
JOIN executions x ON x.id = rs.execution_id AND x.trajectory_id = r.trajectory_id
WHERE r.status = 'finished' AND x.status = 'finished' AND r.steps <> x.to_step
UNION ALL
SELECT 'execution ' || id || ': '
       || CASE stage WHEN 'sample' THEN rows || ' of ' || expected || ' samples are recorded'
                     ELSE rows || ' of ' || expected || ' losses are recorded' END
FROM (SELECT x.id, x.stage,
             CASE x.stage
             WHEN 'evaluate' THEN (SELECT count(*) FROM evaluations e WHERE e.execution_id = x.id)
             WHEN 'baselines' THEN (SELECT count(*) FROM baselines b WHERE b.execution_id = x.id)
             ELSE (SELECT count(*) FROM samples s WHERE s.execution_id = x.id)
             END AS rows,
             CASE x.stage
             WHEN 'sample' THEN (SELECT json_array_length(f.value, '$[1]') FROM json_each(x.fields) f
                                  WHERE f.value ->> 0 = 'param.decode')
             -- Each split has a uniform, a unigram and a bigram loss, and one of the requested order, five by default.
             WHEN 'baselines' THEN max(1, (SELECT count(DISTINCT split) FROM baselines b WHERE b.execution_id = x.id))
                                   * (SELECT 2 + (n >= 2) + (n >= 3) FROM (
                                        SELECT coalesce((SELECT f.value ->> 1 FROM json_each(x.fields) f
                                                          WHERE f.value ->> 0 = 'param.order'), 5) AS n))
             ELSE 1
             END AS expected
        FROM results a JOIN executions x ON x.id = a.execution_id
       WHERE x.stage IN ('evaluate', 'baselines', 'sample') AND x.status = 'finished')
WHERE rows < expected
UNION ALL
SELECT 'run' || r.id || ': no execution of stage ' || p.stage || ' is recorded'
FROM runs r
JOIN (SELECT DISTINCT run_id, substr(name, 1, instr(name, '.') - 1) AS stage FROM params
       WHERE name LIKE 'tokenize.%' OR name LIKE 'vocab.%' OR name LIKE 'batch.%' OR name LIKE 'train.%'
          OR name LIKE 'evaluate.%' OR name LIKE 'sample.%') p ON p.run_id = r.id
WHERE r.status = 'finished' AND NOT EXISTS (SELECT 1 FROM run_stages rs WHERE rs.run_id = r.id AND rs.stage = p.stage)
  -- The stages evaluate and sample may select nothing: no checkpoint, or a split that the corpus doesn't have.
  AND CASE p.stage
      WHEN 'evaluate' THEN EXISTS (SELECT 1 FROM params e JOIN params c ON c.run_id = e.run_id
                                    WHERE e.run_id = r.id AND e.name IN ('evaluate.valid', 'evaluate.test')
                                      AND e.value <> 'none'
                                      AND (c.name = replace(e.name, 'evaluate', 'corpus')
                                           OR c.name = replace(e.name, 'evaluate', 'corpus.split') AND c.value > 0))
      WHEN 'sample' THEN EXISTS (SELECT 1 FROM params e WHERE e.run_id = r.id AND e.name = 'sample.at' AND e.value <> 'none')
      ELSE true END
