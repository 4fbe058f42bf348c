-- The copy does not share the recorded path of the database.
DELETE FROM main.meta WHERE key = 'database'
