SELECT x.path AS experiment_path, x.toml, x.overrides, r.directory,
       (SELECT sr.point FROM study_runs sr JOIN studies st ON st.id = sr.study_id
         WHERE sr.run_id = r.id AND st.experiment_id = x.id ORDER BY st.id LIMIT 1) AS point
FROM runs r
JOIN experiments x ON x.id = r.experiment_id
WHERE r.id = ?1
