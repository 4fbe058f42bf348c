SELECT stage, item, name, digest FROM run_lineage WHERE run = ?1 AND direction = 'output'
