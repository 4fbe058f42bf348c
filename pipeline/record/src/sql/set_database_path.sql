INSERT INTO meta (key, value) VALUES ('database', ?1) ON CONFLICT DO UPDATE SET value = excluded.value
