-- A summary reads a run's last block too where it ends with the run, though it is not full, instead of each of its steps:
-- of most runs there are fewer than a block's 1,024, and a list of thousands had to read every step of them all. Last
-- scores are sought once, not for each of their columns.
DROP VIEW run_summary;
CREATE VIEW run_summary AS
WITH extent AS (
    SELECT run, t, n, CASE WHEN last_ends = n THEN n + 1023 ELSE n END / 1024 * 1024 AS whole
    FROM (
        SELECT run, trajectory_id AS t, steps AS n,
               (SELECT b.block * 1024 + b.steps FROM trajectory_blocks b
                 WHERE b.trajectory_id = e.trajectory_id AND b.block = e.steps / 1024) AS last_ends
        FROM run_extent e
    )
)
SELECT r.id AS run,
       x.name AS experiment,
       (SELECT sr.point FROM study_runs sr WHERE sr.run_id = r.id ORDER BY sr.study_id LIMIT 1) AS point,
       r.status,
       r.seed,
       (SELECT p.value FROM params p WHERE p.run_id = r.id AND p.name = 'train.learning_rate') AS learning_rate,
       e.n AS steps,
       (SELECT s.loss FROM trajectory_steps s WHERE s.trajectory_id = e.t AND s.step = e.n - 1) AS last_loss,
       (SELECT s.loss_kind FROM trajectory_steps s WHERE s.trajectory_id = e.t AND s.step = e.n - 1) AS last_loss_kind,
       (SELECT min(m) FROM (
            SELECT min(b.minimum) AS m FROM trajectory_blocks b WHERE b.trajectory_id = e.t AND b.block < e.whole / 1024
            UNION ALL
            SELECT min(s.loss) FROM trajectory_parts p
              JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= max(p.first_step, e.whole)
               AND s.step < min(p.end_step, e.n)
             WHERE p.trajectory_id = e.t
        )) AS best_loss,
       valid.perplexity AS valid_perplexity,
       valid.loss_kind AS valid_loss_kind,
       test.perplexity AS test_perplexity,
       test.loss_kind AS test_loss_kind,
       r.seconds,
       (SELECT coalesce(sum(k), 0) FROM (
            SELECT sum(b.steps - b.finite) AS k FROM trajectory_blocks b WHERE b.trajectory_id = e.t AND b.block < e.whole / 1024
            UNION ALL
            SELECT count(*) FROM trajectory_parts p
              JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= max(p.first_step, e.whole)
               AND s.step < min(p.end_step, e.n)
             WHERE p.trajectory_id = e.t AND s.loss_kind <> 'finite'
        )) AS nonfinite_steps,
       (SELECT min(k) FROM (
            SELECT min(b.first_nonfinite) AS k FROM trajectory_blocks b WHERE b.trajectory_id = e.t AND b.block < e.whole / 1024
            UNION ALL
            SELECT min(s.step) FROM trajectory_parts p
              JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= max(p.first_step, e.whole)
               AND s.step < min(p.end_step, e.n)
             WHERE p.trajectory_id = e.t AND s.loss_kind <> 'finite'
        )) AS first_nonfinite_step,
       r.error,
       r.created_at,
       (SELECT j.verdict FROM verdicts j WHERE j.run_id = r.id) AS verdict
FROM runs r
JOIN experiments x ON x.id = r.experiment_id
JOIN extent e ON e.run = r.id
LEFT JOIN evaluations valid ON valid.id = (
    SELECT v.id FROM run_stages rs JOIN evaluations v ON v.execution_id = rs.execution_id
     WHERE rs.run_id = r.id AND rs.stage = 'evaluate' AND v.split = 'valid' ORDER BY rs.step DESC LIMIT 1)
LEFT JOIN evaluations test ON test.id = (
    SELECT v.id FROM run_stages rs JOIN evaluations v ON v.execution_id = rs.execution_id
     WHERE rs.run_id = r.id AND rs.stage = 'evaluate' AND v.split = 'test' ORDER BY rs.step DESC LIMIT 1);
