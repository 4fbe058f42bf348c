SELECT process FROM runs WHERE id = ?1 AND status = 'running'
