SELECT run, verdict, cause, onset, sentence FROM run_verdicts WHERE verdict <> 'stable'
ORDER BY verdict <> 'data_fault', run;
