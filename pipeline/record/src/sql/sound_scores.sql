-- Losses with their perplexities.
SELECT 'evaluation ' || id, loss, perplexity FROM evaluations
-- The losses of a log may be in another unit.
WHERE loss IS NOT NULL AND (source <> 'import' OR perplexity IS NOT NULL)
UNION ALL
SELECT 'baseline ' || model || ' on ' || split || ' of execution ' || execution_id, loss, perplexity FROM baselines
