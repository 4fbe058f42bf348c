-- The newest study of each name, newest first.
SELECT st.id, st.name, count(sr.run_id) AS runs
FROM studies st
LEFT JOIN study_runs sr ON sr.study_id = st.id
WHERE st.id IN (SELECT max(id) FROM studies GROUP BY name)
GROUP BY st.id
ORDER BY st.id DESC
