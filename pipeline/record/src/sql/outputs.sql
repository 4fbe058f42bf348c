SELECT name, digest FROM execution_outputs WHERE execution_id = ?1
