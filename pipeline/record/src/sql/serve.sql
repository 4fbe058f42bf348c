INSERT INTO run_stages (run_id, stage, item, step, execution_id, how) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (run_id, stage, item) DO UPDATE SET
    step = excluded.step,
    -- An execution made for this run stays `executed`, whichever of two processes records it first.
    how = CASE WHEN execution_id = excluded.execution_id AND how = 'executed' THEN how ELSE excluded.how END,
    execution_id = excluded.execution_id
