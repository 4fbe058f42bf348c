INSERT INTO run_stages (run_id, stage, item, step, execution_id, how) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (run_id, stage, item) DO UPDATE SET
    step = excluded.step,
    -- What this very run executed in an earlier sitting stays executed.
    how = CASE WHEN execution_id = excluded.execution_id THEN how ELSE excluded.how END,
    execution_id = excluded.execution_id
