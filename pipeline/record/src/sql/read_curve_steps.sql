-- The numbers of the steps in each [trajectory, first step, end] of the JSON list ?1, as text separated by spaces:
-- those of the values from read_curves.
WITH asked AS MATERIALIZED (
    SELECT key AS place, value ->> 0 AS trajectory, value ->> 1 AS first_step, value ->> 2 AS end_step FROM json_each(?1)
)
SELECT a.place AS run, coalesce((
    SELECT group_concat(step, ' ')
    FROM (
        SELECT s.step
        FROM trajectory_parts p
        CROSS JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= max(p.first_step, a.first_step)
                          AND s.step < min(p.end_step, a.end_step)
        WHERE p.trajectory_id = a.trajectory
        ORDER BY p.first_step, s.step
    )
), '') AS text
FROM asked a
