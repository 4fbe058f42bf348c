INSERT INTO objects (digest, bytes, created_at) VALUES (?1, ?2, ?3)
-- The caller has just stored the object and knows its size; a wrong size would have it recomputed on every run.
ON CONFLICT (digest) DO UPDATE SET bytes = excluded.bytes WHERE bytes <> excluded.bytes
