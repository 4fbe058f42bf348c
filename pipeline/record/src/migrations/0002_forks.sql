-- Forks: a trajectory may begin at a checkpoint of another, its parent. Its own rows hold the steps from there on, so that
-- none is doubled; what lies before is the parent's, or the parent's parent's. Views show the whole.

ALTER TABLE trajectories ADD COLUMN parent_id INTEGER REFERENCES trajectories (id);
-- The checkpoint of the parent, and the first step of its own.
ALTER TABLE trajectories ADD COLUMN parent_step INTEGER CHECK ((parent_step IS NULL) = (parent_id IS NULL));
CREATE INDEX trajectories_by_parent ON trajectories (parent_id, parent_step) WHERE parent_id IS NOT NULL;

-- Which trajectory holds which steps of a trajectory: first_step <= step < end_step. Kept as rows and not found by a
-- recursive view, which would walk every lineage for each look at one.
CREATE TABLE trajectory_parts (
    trajectory_id INTEGER NOT NULL REFERENCES trajectories (id),
    first_step    INTEGER NOT NULL,
    end_step      INTEGER NOT NULL,      -- of the last part beyond every step
    holder_id     INTEGER NOT NULL REFERENCES trajectories (id),
    PRIMARY KEY (trajectory_id, first_step)
) STRICT, WITHOUT ROWID;

INSERT INTO trajectory_parts SELECT id, 0, 9223372036854775807, id FROM trajectories;

CREATE TRIGGER trajectory_has_parts AFTER INSERT ON trajectories BEGIN
    INSERT INTO trajectory_parts
    SELECT NEW.id, first_step, min(end_step, NEW.parent_step), holder_id
    FROM trajectory_parts WHERE trajectory_id = NEW.parent_id AND first_step < NEW.parent_step;
    INSERT INTO trajectory_parts VALUES (NEW.id, coalesce(NEW.parent_step, 0), 9223372036854775807, NEW.id);
END;

DROP VIEW run_summary;
DROP VIEW run_events;
DROP VIEW run_evaluations;
DROP VIEW run_steps;
DROP VIEW run_extent;

CREATE VIEW trajectory_steps AS
SELECT p.trajectory_id, s.step, s.epoch, s.loss, s.loss_kind, s.learning_rate, s.grad_norm, s.clipped, s.update_ratio,
       s.logit_max, s.entropy, s.tokens, s.seconds, s.nonfinite
FROM trajectory_parts p
JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= p.first_step AND s.step < p.end_step;

-- A block in whose middle a fork began is the fork's: it sums up the parent's steps of that block too.
CREATE VIEW trajectory_blocks AS
SELECT p.trajectory_id, b.block, b.steps, b.finite, b.minimum, b.maximum, b.sum, b.first_nonfinite, b.tokens, b.chain
FROM trajectory_parts p
JOIN step_blocks b ON b.trajectory_id = p.holder_id AND b.block >= p.first_step / 1024 AND b.block < p.end_step / 1024;

-- How far a run has come: its own length caps a longer trajectory.
CREATE VIEW run_extent AS
SELECT r.id AS run,
       r.trajectory_id,
       min(coalesce(r.steps, r.length, 0),
           coalesce((SELECT max(s.step) + 1 FROM steps s WHERE s.trajectory_id = r.trajectory_id),
                    t.parent_step, 0)) AS steps
FROM runs r
LEFT JOIN trajectories t ON t.id = r.trajectory_id;

CREATE VIEW run_steps AS
SELECT r.id AS run, s.step, s.epoch, s.loss, s.loss_kind, s.learning_rate, s.grad_norm, s.clipped, s.update_ratio,
       s.logit_max, s.entropy, s.tokens, s.seconds, s.nonfinite
FROM runs r
JOIN trajectory_steps s ON s.trajectory_id = r.trajectory_id AND s.step < coalesce(r.steps, r.length);

CREATE VIEW run_evaluations AS
SELECT rs.run_id AS run, rs.step, e.split, e.loss, e.loss_kind, e.perplexity, e.tokens, e.seconds, e.source
FROM run_stages rs
JOIN evaluations e ON e.execution_id = rs.execution_id AND e.source = 'evaluate'
WHERE rs.stage = 'evaluate'
UNION ALL
SELECT r.id, e.step, e.split, e.loss, e.loss_kind, e.perplexity, e.tokens, e.seconds, e.source
FROM runs r
JOIN trajectory_parts p ON p.trajectory_id = r.trajectory_id
JOIN evaluations e ON e.trajectory_id = p.holder_id AND e.source = 'train'
 -- A look belongs to the step after it.
 AND e.step >= p.first_step AND e.step < p.end_step AND e.step <= coalesce(r.steps, r.length);

CREATE VIEW run_events AS
SELECT r.id AS run, e.step, e.kind, e.message, e.created_at
FROM runs r
JOIN trajectory_parts p ON p.trajectory_id = r.trajectory_id
JOIN events e ON e.trajectory_id = p.holder_id
 AND (e.step IS NULL AND p.holder_id = r.trajectory_id
      OR e.step >= p.first_step AND e.step < p.end_step AND e.step < coalesce(r.steps, r.length))
UNION ALL
SELECT rs.run_id, e.step, e.kind, e.message, e.created_at
FROM run_stages rs
JOIN events e ON e.execution_id = rs.execution_id
WHERE e.trajectory_id IS NULL;

-- The forks that a run's trajectory goes through; the parent is the first run that has the checkpoint.
CREATE VIEW run_forks AS
SELECT r.id AS run, p.first_step AS step,
       (SELECT min(x.run) FROM run_extent x WHERE x.trajectory_id = t.parent_id AND x.steps >= t.parent_step) AS parent
FROM runs r
JOIN trajectory_parts p ON p.trajectory_id = r.trajectory_id
JOIN trajectories t ON t.id = p.holder_id
WHERE t.parent_id IS NOT NULL;

-- Whole blocks are read from step_blocks and only the last, cut one from steps, so that a run of a million steps costs
-- a thousand rows. Scores are joined here and not taken from run_evaluations, whose union SQLite would scan for each run. Losses are over finite steps; what was not finite stands beside them.
CREATE VIEW run_summary AS
WITH extent AS (
    SELECT run, trajectory_id AS t, steps AS n, steps / 1024 * 1024 AS whole FROM run_extent
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
            SELECT min(s.loss) FROM trajectory_steps s WHERE s.trajectory_id = e.t AND s.step >= e.whole AND s.step < e.n
        )) AS best_loss,
       (SELECT v.perplexity FROM run_stages rs JOIN evaluations v ON v.execution_id = rs.execution_id
         WHERE rs.run_id = r.id AND rs.stage = 'evaluate' AND v.split = 'valid' ORDER BY rs.step DESC LIMIT 1) AS valid_perplexity,
       (SELECT v.loss_kind FROM run_stages rs JOIN evaluations v ON v.execution_id = rs.execution_id
         WHERE rs.run_id = r.id AND rs.stage = 'evaluate' AND v.split = 'valid' ORDER BY rs.step DESC LIMIT 1) AS valid_loss_kind,
       (SELECT v.perplexity FROM run_stages rs JOIN evaluations v ON v.execution_id = rs.execution_id
         WHERE rs.run_id = r.id AND rs.stage = 'evaluate' AND v.split = 'test' ORDER BY rs.step DESC LIMIT 1) AS test_perplexity,
       (SELECT v.loss_kind FROM run_stages rs JOIN evaluations v ON v.execution_id = rs.execution_id
         WHERE rs.run_id = r.id AND rs.stage = 'evaluate' AND v.split = 'test' ORDER BY rs.step DESC LIMIT 1) AS test_loss_kind,
       r.seconds,
       (SELECT coalesce(sum(k), 0) FROM (
            SELECT sum(b.steps - b.finite) AS k FROM trajectory_blocks b WHERE b.trajectory_id = e.t AND b.block < e.whole / 1024
            UNION ALL
            SELECT count(*) FROM trajectory_steps s
             WHERE s.trajectory_id = e.t AND s.step >= e.whole AND s.step < e.n AND s.loss_kind <> 'finite'
        )) AS nonfinite_steps,
       (SELECT min(k) FROM (
            SELECT min(b.first_nonfinite) AS k FROM trajectory_blocks b WHERE b.trajectory_id = e.t AND b.block < e.whole / 1024
            UNION ALL
            SELECT min(s.step) FROM trajectory_steps s
             WHERE s.trajectory_id = e.t AND s.step >= e.whole AND s.step < e.n AND s.loss_kind <> 'finite'
        )) AS first_nonfinite_step,
       r.error,
       r.created_at
FROM runs r
JOIN experiments x ON x.id = r.experiment_id
JOIN extent e ON e.run = r.id;
