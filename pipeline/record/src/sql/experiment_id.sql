SELECT id FROM experiments WHERE name = ?1 AND toml = ?2 AND overrides = ?3
