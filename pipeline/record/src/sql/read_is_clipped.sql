-- Whether a gradient of trajectory ?1 was clipped in the steps ?2 .. ?3.
SELECT EXISTS (
    SELECT 1
    FROM trajectory_parts p
    CROSS JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= max(p.first_step, ?2) AND s.step < min(p.end_step, ?3)
    WHERE p.trajectory_id = ?1 AND s.clipped
)
