-- Stretches of run ?1 without a finite loss, each of one kind.
SELECT min(step) AS first, max(step) AS last, loss_kind AS kind
FROM (
    SELECT step, loss_kind, step - row_number() OVER (PARTITION BY loss_kind ORDER BY step) AS stretch
    FROM run_steps
    WHERE run = ?1 AND loss_kind <> 'finite'
)
GROUP BY loss_kind, stretch
ORDER BY 1
LIMIT 200
