SELECT process FROM runs WHERE status = 'running' AND process IS NOT NULL
UNION
SELECT process FROM executions WHERE status = 'running' AND process IS NOT NULL
