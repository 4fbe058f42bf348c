UPDATE checkpoints SET state = NULL WHERE state = ?1
