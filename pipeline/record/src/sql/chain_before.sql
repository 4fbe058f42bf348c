SELECT chain FROM trajectory_blocks WHERE trajectory_id = ?1 AND block = ?2
