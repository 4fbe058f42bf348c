DELETE FROM objects WHERE digest = ?1
