SELECT run, max(value) FILTER (WHERE name = 'batch.size') AS batch_size,
       max(value) FILTER (WHERE name = 'train.hidden') AS hidden,
       max(value) FILTER (WHERE name = 'train.clip_norm') AS clip_norm
FROM run_params GROUP BY run;
