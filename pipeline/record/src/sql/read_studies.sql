SELECT st.id, st.name, count(sr.run_id) AS runs
FROM studies st
LEFT JOIN study_runs sr ON sr.study_id = st.id
GROUP BY st.id
ORDER BY st.id DESC
