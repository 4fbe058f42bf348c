UPDATE main.runs SET status = 'interrupted', process = NULL WHERE status = 'running'
