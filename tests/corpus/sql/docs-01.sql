SELECT learning_rate, runs, nonfinite_runs, best_valid_perplexity, first_nonfinite_step
FROM study_by_learning_rate
WHERE study_id = (SELECT max(study_id) FROM study_by_learning_rate WHERE study = 'lr_study') ORDER BY learning_rate;
