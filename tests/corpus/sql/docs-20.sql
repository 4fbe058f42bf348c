SELECT s.run, s.point, s.valid_perplexity, s.valid_loss_kind, b.perplexity AS unigram_perplexity
FROM run_summary s
JOIN run_baselines b ON b.run = s.run AND b.split = 'valid' AND b.model = 'unigram'
WHERE s.valid_perplexity > b.perplexity OR s.valid_loss_kind <> 'finite';
