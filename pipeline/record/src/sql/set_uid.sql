-- A cursor of another record means nothing in this one.
INSERT INTO main.meta (key, value) VALUES ('uid', lower(hex(randomblob(16)))) ON CONFLICT DO UPDATE SET value = excluded.value
