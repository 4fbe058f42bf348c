INSERT INTO meta (key, value) VALUES ('database', ?1) ON CONFLICT DO NOTHING
