INSERT INTO checkpoints (trajectory_id, step, weights, state, execution_id) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (trajectory_id, step) DO UPDATE SET
    weights = excluded.weights, state = excluded.state, execution_id = excluded.execution_id
