-- None of these is ever deleted, so the newest of each only grows.
SELECT coalesce((SELECT max(id) FROM runs), 0), coalesce((SELECT max(id) FROM executions), 0),
       coalesce((SELECT max(id) FROM evaluations), 0), coalesce((SELECT max(id) FROM studies), 0)
