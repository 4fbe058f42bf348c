UPDATE runs SET trajectory_id = ?2, length = ?3 WHERE id = ?1
