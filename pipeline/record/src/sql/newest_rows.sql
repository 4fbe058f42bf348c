-- These rows are never deleted, so the largest id of each table only grows.
SELECT coalesce((SELECT max(id) FROM runs), 0), coalesce((SELECT max(id) FROM executions), 0),
       coalesce((SELECT max(id) FROM evaluations), 0), coalesce((SELECT max(id) FROM studies), 0)
