UPDATE runs SET status = 'interrupted', process = NULL WHERE status = 'running' AND process = ?1
