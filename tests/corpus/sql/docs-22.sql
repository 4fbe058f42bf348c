SELECT v.run, v.verdict, e.signal, e.value, e.value_kind, e.bound, e.step, e.sentence
FROM run_verdicts v JOIN run_evidence e ON e.run = v.run AND e.about = v.verdict
ORDER BY v.run, e.position;
