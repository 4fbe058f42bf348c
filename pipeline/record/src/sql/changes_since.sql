SELECT revision, kind, run, study, from_step FROM record_changes WHERE revision > ?1 ORDER BY revision, run
