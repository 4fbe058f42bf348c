-- What the copy does not share: the path of the database itself, where that is recorded.
DELETE FROM main.meta WHERE key = 'database'
