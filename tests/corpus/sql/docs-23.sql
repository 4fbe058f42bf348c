SELECT note, name, count(*) AS runs FROM run_checks WHERE made = 0 GROUP BY note, name ORDER BY runs DESC;
