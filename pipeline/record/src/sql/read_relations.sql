-- Views first, because they are the public interface; then tables.
SELECT m.name, m.type AS kind, c.name AS column, c.type
FROM sqlite_schema m
JOIN pragma_table_info(m.name) c
WHERE m.type IN ('view', 'table') AND m.name NOT LIKE 'sqlite_%'
ORDER BY m.type = 'table', m.rowid, c.cid
