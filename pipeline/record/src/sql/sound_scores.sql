-- Losses with their perplexities.
SELECT 'evaluation ' || id, loss, perplexity FROM evaluations WHERE loss IS NOT NULL
UNION ALL
SELECT 'baseline ' || model || ' on ' || split || ' of execution ' || execution_id, loss, perplexity FROM baselines
