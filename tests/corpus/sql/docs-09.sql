SELECT s.run, p.value AS optimizer, s.learning_rate, s.best_loss, s.nonfinite_steps
FROM run_summary s JOIN run_params p ON p.run = s.run AND p.name = 'train.optimizer'
WHERE p.value = 'sgd' AND s.learning_rate >= 0.1;
