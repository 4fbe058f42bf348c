-- Runs with a verdict of which a part is missing or invalid.
SELECT run_id FROM verdict_findings GROUP BY run_id HAVING count(*) <> max(position) + 1
UNION
SELECT run_id FROM verdict_evidence GROUP BY run_id HAVING count(*) <> max(position) + 1
UNION
SELECT run_id FROM verdict_checks GROUP BY run_id HAVING count(*) <> max(position) + 1
UNION
SELECT run_id FROM verdicts v WHERE NOT EXISTS (SELECT 1 FROM verdict_checks c WHERE c.run_id = v.run_id)
UNION
SELECT run_id FROM verdicts
WHERE verdict NOT IN ('data_fault', 'diverged', 'unstable', 'too_low', 'stable', 'inconclusive') OR recovered NOT IN (0, 1)
UNION
SELECT run_id FROM verdict_evidence
WHERE value_kind NOT IN ('finite', 'nan', 'inf', '-inf') OR (value IS NOT NULL) <> (value_kind = 'finite')
UNION
SELECT run_id FROM verdict_checks WHERE made NOT IN (0, 1)
ORDER BY 1
