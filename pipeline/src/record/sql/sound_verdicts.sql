-- Runs of whose verdicts a part is missing.
SELECT run_id FROM verdict_findings GROUP BY run_id HAVING count(*) <> max(position) + 1
UNION
SELECT run_id FROM verdict_evidence GROUP BY run_id HAVING count(*) <> max(position) + 1
UNION
SELECT run_id FROM verdict_checks GROUP BY run_id HAVING count(*) <> max(position) + 1
UNION
SELECT run_id FROM verdicts v WHERE NOT EXISTS (SELECT 1 FROM verdict_checks c WHERE c.run_id = v.run_id)
ORDER BY 1
