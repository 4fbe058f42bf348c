DELETE FROM params WHERE run_id = ?1
