-- What is named by the digest of its fields.
SELECT 'execution ' || id || ' (' || stage || ')', stage_key, fields FROM executions
UNION ALL
SELECT 'trajectory ' || id, identity, fields FROM trajectories
