-- Rows that are named by the digest of their fields.
SELECT 'execution ' || id || ' (' || stage || ')', stage_key, fields FROM executions
UNION ALL
SELECT 'trajectory ' || id, identity, fields FROM trajectories
