SELECT run, experiment, point, status, steps, last_loss, last_loss_kind, valid_perplexity
FROM run_summary ORDER BY run;
