SELECT run, step, kind, message FROM run_events ORDER BY created_at, run;
