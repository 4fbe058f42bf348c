-- Stretches of run ?1 without a finite loss, each of one kind: a stretch continues until the next finite loss.
WITH bad AS (
    SELECT step, loss_kind, lag(step) OVER (ORDER BY step) AS before, lag(loss_kind) OVER (ORDER BY step) AS kind_before
    FROM run_steps
    WHERE run = ?1 AND loss_kind <> 'finite'
), marked AS (
    SELECT step, loss_kind,
           sum(loss_kind IS NOT kind_before
               OR step > before + 1
                  AND EXISTS (SELECT 1 FROM run_steps s WHERE s.run = ?1 AND s.step > bad.before AND s.step < bad.step
                                AND s.loss_kind = 'finite')) OVER (ORDER BY step) AS stretch
    FROM bad
)
SELECT min(step) AS first, max(step) AS last, loss_kind AS kind
FROM marked
GROUP BY stretch
ORDER BY 1
LIMIT 200
