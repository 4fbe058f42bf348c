INSERT INTO objects (digest, bytes, created_at) VALUES (?1, ?2, ?3)
-- Who has just put it there knows its size: a wrong one would have it made again at every run.
ON CONFLICT (digest) DO UPDATE SET bytes = excluded.bytes WHERE bytes <> excluded.bytes
