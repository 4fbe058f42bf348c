INSERT INTO trajectories (identity, fields, threads, cpu_capability, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT DO NOTHING
