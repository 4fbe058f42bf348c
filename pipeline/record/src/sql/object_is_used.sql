SELECT EXISTS (SELECT 1 FROM execution_outputs WHERE digest = ?1)
    OR EXISTS (SELECT 1 FROM checkpoints WHERE weights = ?1 OR state = ?1)
