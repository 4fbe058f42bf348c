INSERT INTO run_stages (run_id, stage, item, execution_id, how) VALUES (?1, 'train', '', ?2, 'executed')
