SELECT group_concat(run_id, ',') FROM (
    SELECT sr.run_id
    FROM study_runs sr
    WHERE sr.study_id = (
        SELECT max(s.id) FROM studies s JOIN experiments x ON x.id = s.experiment_id
        WHERE x.name = ?1 AND x.toml = ?2 AND x.overrides = ?3
    )
    ORDER BY sr.position
)
