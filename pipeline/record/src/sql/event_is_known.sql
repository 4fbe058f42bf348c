SELECT EXISTS (
    SELECT 1 FROM events WHERE trajectory_id = ?1 AND step IS ?2 AND kind = ?3 AND message = ?4
)
