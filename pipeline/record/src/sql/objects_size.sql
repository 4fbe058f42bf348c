SELECT bytes FROM objects WHERE digest = ?1
