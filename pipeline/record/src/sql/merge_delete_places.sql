DELETE FROM step_places WHERE trajectory_id = ?3 AND NOT EXISTS (
    SELECT 1 FROM step_places n WHERE n.trajectory_id = ?1 AND n.step = step_places.step AND n.series = step_places.series
     AND n.source_id = step_places.source_id AND n.place IS step_places.place)
