-- A cursor of one record must not be valid in another.
INSERT INTO main.meta (key, value) VALUES ('uid', lower(hex(randomblob(16)))) ON CONFLICT DO UPDATE SET value = excluded.value
