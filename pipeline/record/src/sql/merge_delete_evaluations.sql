DELETE FROM evaluations WHERE trajectory_id = ?3 AND NOT EXISTS (
    SELECT 1 FROM evaluations n WHERE n.trajectory_id = ?1 AND n.step IS evaluations.step AND n.split = evaluations.split
     AND n.loss IS evaluations.loss AND n.loss_kind = evaluations.loss_kind AND n.perplexity IS evaluations.perplexity AND n.source_id IS evaluations.source_id
     AND n.place IS evaluations.place)
