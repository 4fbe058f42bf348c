SELECT run, stage, item, name, digest FROM run_lineage WHERE run IN (SELECT value FROM json_each(?1)) AND direction = 'output'
