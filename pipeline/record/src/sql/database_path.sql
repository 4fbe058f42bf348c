SELECT value FROM meta WHERE key = 'database'
