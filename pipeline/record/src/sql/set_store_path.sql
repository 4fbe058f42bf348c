INSERT INTO meta (key, value) VALUES ('store', ?1) ON CONFLICT DO UPDATE SET value = excluded.value
