INSERT INTO experiments (name, path, toml, overrides, created_at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING
