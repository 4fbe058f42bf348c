-- Whether every loss that was recorded stands in the log as it did.
SELECT NOT EXISTS (SELECT 1 FROM steps o LEFT JOIN steps n ON n.trajectory_id = ?2 AND n.step = o.step
                    WHERE o.trajectory_id = ?1 AND o.loss_kind IS NOT NULL
                      AND (n.loss IS NOT o.loss OR n.loss_kind IS NOT o.loss_kind))
