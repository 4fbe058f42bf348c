-- Numbers from elsewhere: steps that other programs logged, or commands of the user's own report. Such steps have gaps and
-- lack numbers, their runs may have no experiment, length or seed, a training that was computed twice may have differed, and
-- whoever reads a number may ask which line of which file it came from. And a cursor: what changed since it was last read.
--
-- Tables whose columns lose a NOT NULL are rebuilt, for which the program turns references off and checks them afterwards. All
-- views and triggers are dropped first, and made again at the end: the whole public interface stands there.

DROP VIEW run_summary;
DROP VIEW run_params;
DROP VIEW run_steps;
DROP VIEW run_evaluations;
DROP VIEW run_baselines;
DROP VIEW run_samples;
DROP VIEW run_events;
DROP VIEW run_verdicts;
DROP VIEW run_findings;
DROP VIEW run_evidence;
DROP VIEW run_checks;
DROP VIEW run_confirmations;
DROP VIEW run_lineage;
DROP VIEW run_forks;
DROP VIEW run_extent;
DROP VIEW trajectory_steps;
DROP VIEW trajectory_blocks;
DROP VIEW study_by_learning_rate;
DROP TRIGGER trajectory_has_parts;

-- ------------------------------------------------------------------------------------------------------ studies, runs

CREATE TABLE new_studies (
    id            INTEGER PRIMARY KEY,
    experiment_id INTEGER REFERENCES experiments (id),   -- NULL: of runs that no experiment made
    name          TEXT NOT NULL,
    points        INTEGER NOT NULL,
    created_at    TEXT NOT NULL
) STRICT;
INSERT INTO new_studies (id, experiment_id, name, points, created_at)
SELECT id, experiment_id, name, points, created_at FROM studies;
DROP TABLE studies;
ALTER TABLE new_studies RENAME TO studies;
CREATE INDEX studies_by_name ON studies (name);

CREATE TABLE new_runs (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,   -- run42 is 42; a number is never given twice
    uid             TEXT NOT NULL UNIQUE,                -- survives merging databases
    run_key         TEXT NOT NULL,                       -- SHA-256 of the point and the stage versions: equal keys, equal runs
    experiment_id   INTEGER REFERENCES experiments (id), -- NULL: no experiment made it
    status          TEXT NOT NULL CHECK (status IN ('running', 'interrupted', 'failed', 'finished')),
    point           TEXT NOT NULL,                       -- JSON of every resolved parameter
    seed            INTEGER,
    trajectory_id   INTEGER REFERENCES trajectories (id),
    length          INTEGER,                             -- steps asked for; NULL: nobody says how many
    steps           INTEGER,                             -- the step after its last: fewer than asked for where the loss stayed non-finite
    process         TEXT,                                -- the process that works on it, while it does
    created_at      TEXT NOT NULL,
    finished_at     TEXT,
    seconds         REAL NOT NULL DEFAULT 0,             -- while something was computed for it, over all sittings
    host            TEXT NOT NULL,
    program_version TEXT NOT NULL,
    git_commit      TEXT,
    git_dirty       INTEGER CHECK (git_dirty IN (0, 1)),
    error           TEXT,
    last_evaluation INTEGER,                             -- the newest row of evaluations when it ended
    name            TEXT,                                -- what an imported run is called
    directory       TEXT,                                -- the absolute path of the folder in which it was made
    loss_unit       TEXT,                                -- 'nats/token'; NULL: unknown
    vocabulary      INTEGER                              -- types, where somebody said how many
) STRICT;
INSERT INTO new_runs (id, uid, run_key, experiment_id, status, point, seed, trajectory_id, length, steps, process, created_at,
                      finished_at, seconds, host, program_version, git_commit, git_dirty, error, last_evaluation, loss_unit)
SELECT id, uid, run_key, experiment_id, status, point, seed, trajectory_id, length, steps, process, created_at,
       finished_at, seconds, host, program_version, git_commit, git_dirty, error, last_evaluation, 'nats/token'
FROM runs;
-- The numbers that were given already, of runs that are gone too.
DELETE FROM sqlite_sequence WHERE name = 'new_runs';
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_runs', seq FROM sqlite_sequence WHERE name = 'runs';
DROP TABLE runs;
ALTER TABLE new_runs RENAME TO runs;
CREATE INDEX runs_by_key ON runs (run_key);
CREATE INDEX runs_by_trajectory ON runs (trajectory_id);
CREATE INDEX runs_running ON runs (process) WHERE status = 'running';

-- -------------------------------------------------------------------------------------------------------- trajectories

-- What fixes the numbers of a training, computed once. Where they came out otherwise when they were computed again, that is
-- another realisation of the same identity. One that leaves another at a checkpoint has it as its parent, as a fork does.
CREATE TABLE new_trajectories (
    id             INTEGER PRIMARY KEY,
    identity       TEXT NOT NULL,
    realisation    INTEGER NOT NULL DEFAULT 0,           -- counted from 0 for each identity; the newest is continued
    fields         TEXT NOT NULL,                        -- JSON list of [name, value]: exactly what was hashed
    threads        INTEGER,                              -- fixed when it starts: resuming uses the same; NULL: unknown
    cpu_capability TEXT,
    created_at     TEXT NOT NULL,
    parent_id      INTEGER REFERENCES trajectories (id),
    parent_step    INTEGER CHECK ((parent_step IS NULL) = (parent_id IS NULL)),
    UNIQUE (identity, realisation)
) STRICT;
INSERT INTO new_trajectories (id, identity, fields, threads, cpu_capability, created_at, parent_id, parent_step)
SELECT id, identity, fields, threads, cpu_capability, created_at, parent_id, parent_step FROM trajectories;
DROP TABLE trajectories;
ALTER TABLE new_trajectories RENAME TO trajectories;
CREATE INDEX trajectories_by_parent ON trajectories (parent_id, parent_step) WHERE parent_id IS NOT NULL;
CREATE INDEX trajectory_parts_by_holder ON trajectory_parts (holder_id);

-- A log that was read: what its numbers are called there, and how far it was read.
CREATE TABLE sources (
    id           INTEGER PRIMARY KEY,
    execution_id INTEGER NOT NULL REFERENCES executions (id),
    path         TEXT NOT NULL,
    digest       TEXT NOT NULL,          -- SHA-256 of the bytes that were read
    bytes        INTEGER NOT NULL,       -- how many
    format       TEXT NOT NULL,
    columns      TEXT NOT NULL           -- JSON object: our name of each series -> the log's own
) STRICT;
CREATE INDEX sources_by_execution ON sources (execution_id);

-- Steps ascend, and may have gaps. A number that was not measured is NULL. `loss_kind` says what a loss was, since SQLite has
-- no NaN: NULL is none at this step. `nonfinite` names every other measured column that was not finite ('grad_norm:inf').
CREATE TABLE new_steps (
    trajectory_id INTEGER NOT NULL REFERENCES trajectories (id),
    step          INTEGER NOT NULL,
    epoch         INTEGER,
    loss          REAL,
    loss_kind     TEXT CHECK (loss_kind IN ('finite', 'nan', 'inf', '-inf')),
    learning_rate REAL,
    grad_norm     REAL,
    clipped       INTEGER,
    update_ratio  REAL,
    logit_max     REAL,
    entropy       REAL,
    tokens        INTEGER,
    seconds       REAL,
    nonfinite     TEXT,
    overshoot     REAL,
    sharpness     REAL,
    window        INTEGER,               -- the loss is a mean over so many steps up to this one; 1: of this one; NULL: unknown
    source_id     INTEGER REFERENCES sources (id),
    place         INTEGER,               -- the line, record or byte of the source that the numbers came from
    CHECK ((loss IS NOT NULL) = (loss_kind IS 'finite')),
    PRIMARY KEY (trajectory_id, step)
) STRICT, WITHOUT ROWID;
INSERT INTO new_steps (trajectory_id, step, epoch, loss, loss_kind, learning_rate, grad_norm, clipped, update_ratio, logit_max,
                       entropy, tokens, seconds, nonfinite, overshoot, sharpness, window)
SELECT trajectory_id, step, epoch, loss, loss_kind, learning_rate, grad_norm, clipped, update_ratio, logit_max,
       entropy, tokens, seconds, nonfinite, overshoot, sharpness, 1
FROM steps ORDER BY trajectory_id, step;
DROP TABLE steps;
ALTER TABLE new_steps RENAME TO steps;

-- Numbers of a step that came from another place than the step's own: a rate that is logged in a line of its own.
CREATE TABLE step_places (
    trajectory_id INTEGER NOT NULL REFERENCES trajectories (id),
    step          INTEGER NOT NULL,
    series        TEXT NOT NULL,         -- a column of steps
    source_id     INTEGER NOT NULL REFERENCES sources (id),
    place         INTEGER,
    PRIMARY KEY (trajectory_id, step, series)
) STRICT, WITHOUT ROWID;

-- The steps of 1,024 step numbers in one row, written in their transaction. `chain` is SHA-256(chain of the block's steps so
-- far, bits of the next loss), begun from the block before; a step that does not follow the one before is hashed with its
-- number, and one without a loss as such. Two trajectories with equal chains have equal losses up to there.
CREATE TABLE new_step_blocks (
    trajectory_id   INTEGER NOT NULL REFERENCES trajectories (id),
    block           INTEGER NOT NULL,    -- step / 1024
    steps           INTEGER NOT NULL,    -- how many there are
    finite          INTEGER NOT NULL,
    minimum         REAL,
    maximum         REAL,
    sum             REAL NOT NULL,
    first_nonfinite INTEGER,
    tokens          INTEGER,             -- of the steps that say how many
    chain           BLOB NOT NULL,
    last_step       INTEGER NOT NULL,
    missing         INTEGER NOT NULL DEFAULT 0,          -- steps without a loss
    PRIMARY KEY (trajectory_id, block)
) STRICT, WITHOUT ROWID;
INSERT INTO new_step_blocks (trajectory_id, block, steps, finite, minimum, maximum, sum, first_nonfinite, tokens, chain,
                             last_step)
SELECT trajectory_id, block, steps, finite, minimum, maximum, sum, first_nonfinite, tokens, chain, block * 1024 + steps - 1
FROM step_blocks;
DROP TABLE step_blocks;
ALTER TABLE new_step_blocks RENAME TO step_blocks;

-- What a training measured beside the columns of steps. A step at which only such numbers were measured has a row of steps too,
-- so that its block says that something was added.
CREATE TABLE series (
    id            INTEGER PRIMARY KEY,
    trajectory_id INTEGER NOT NULL REFERENCES trajectories (id),
    name          TEXT NOT NULL,
    UNIQUE (trajectory_id, name)
) STRICT;

CREATE TABLE series_values (
    series_id  INTEGER NOT NULL REFERENCES series (id),
    step       INTEGER NOT NULL,
    value      REAL,
    value_kind TEXT NOT NULL CHECK (value_kind IN ('finite', 'nan', 'inf', '-inf')),
    source_id  INTEGER REFERENCES sources (id),
    place      INTEGER,
    CHECK ((value IS NOT NULL) = (value_kind = 'finite')),
    PRIMARY KEY (series_id, step)
) STRICT, WITHOUT ROWID;

-- ------------------------------------------------------------------------------------------------------------- scores

-- A split scored at one set of weights: by the stage evaluate, by training itself, by a command of the user's, or by another
-- program whose log was read (`source`).
CREATE TABLE new_evaluations (
    id            INTEGER PRIMARY KEY,
    execution_id  INTEGER NOT NULL REFERENCES executions (id),
    source        TEXT NOT NULL CHECK (source IN ('evaluate', 'train', 'command', 'import')),
    trajectory_id INTEGER REFERENCES trajectories (id),
    step          INTEGER,
    split         TEXT NOT NULL,
    loss          REAL,
    loss_kind     TEXT NOT NULL CHECK (loss_kind IN ('finite', 'nan', 'inf', '-inf')),
    perplexity    REAL,                  -- exp(loss); NULL where that is not finite, or the loss is not in nats a token
    tokens        INTEGER,
    seconds       REAL,
    source_id     INTEGER REFERENCES sources (id),
    place         INTEGER,
    CHECK ((loss IS NOT NULL) = (loss_kind = 'finite'))
) STRICT;
INSERT INTO new_evaluations (id, execution_id, source, trajectory_id, step, split, loss, loss_kind, perplexity, tokens, seconds)
SELECT id, execution_id, source, trajectory_id, step, split, loss, loss_kind, perplexity, tokens, seconds FROM evaluations;
DROP TABLE evaluations;
ALTER TABLE new_evaluations RENAME TO evaluations;
CREATE INDEX evaluations_by_execution ON evaluations (execution_id);
-- A resumed training scores a step again; the row is there once.
CREATE UNIQUE INDEX evaluations_in_training ON evaluations (trajectory_id, step, split) WHERE trajectory_id IS NOT NULL;

-- A score that is no loss: accuracy, BLEU.
CREATE TABLE metrics (
    id           INTEGER PRIMARY KEY,
    execution_id INTEGER NOT NULL REFERENCES executions (id),
    name         TEXT NOT NULL,
    split        TEXT,
    step         INTEGER,
    value        REAL,
    value_kind   TEXT NOT NULL CHECK (value_kind IN ('finite', 'nan', 'inf', '-inf')),
    source_id    INTEGER REFERENCES sources (id),
    place        INTEGER,
    CHECK ((value IS NOT NULL) = (value_kind = 'finite'))
) STRICT;
CREATE INDEX metrics_by_execution ON metrics (execution_id);

-- ------------------------------------------------------------------------------------------------------------- cursor

-- What changed, and when: one row for each thing, which moves to a revision beyond all others whenever it changes, in the
-- transaction that changes it. `run` and `study` are themselves; `trajectory` was added to; of `replaced`, a trajectory too,
-- steps from from_step on were changed or deleted since there were any: it only ever falls, so that whoever has not looked for
-- long draws enough again. A cursor is the record's uid and a revision.
CREATE TABLE changes (
    kind      TEXT NOT NULL CHECK (kind IN ('run', 'study', 'trajectory', 'replaced')),
    subject   INTEGER NOT NULL,
    revision  INTEGER NOT NULL,
    from_step INTEGER,
    PRIMARY KEY (kind, subject)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX changes_by_revision ON changes (revision);

INSERT INTO changes (kind, subject, revision)
SELECT kind, id, row_number() OVER (ORDER BY kind, id)
FROM (SELECT 'run' AS kind, id FROM runs UNION ALL SELECT 'study', id FROM studies);

INSERT INTO meta (key, value) VALUES ('uid', lower(hex(randomblob(16))));

-- ----------------------------------------------------------------------------------------------------------- triggers

CREATE TRIGGER trajectory_has_parts AFTER INSERT ON trajectories BEGIN
    INSERT INTO trajectory_parts
    SELECT NEW.id, first_step, min(end_step, NEW.parent_step), holder_id
    FROM trajectory_parts WHERE trajectory_id = NEW.parent_id AND first_step < NEW.parent_step;
    INSERT INTO trajectory_parts VALUES (NEW.id, coalesce(NEW.parent_step, 0), 9223372036854775807, NEW.id);
END;

-- What is inserted here moves the cursor: the only statement that writes `changes`.
CREATE VIEW changed AS SELECT kind, subject, from_step FROM changes;
CREATE TRIGGER something_changed INSTEAD OF INSERT ON changed BEGIN
    INSERT INTO changes (kind, subject, revision, from_step)
    VALUES (NEW.kind, NEW.subject, (SELECT coalesce(max(revision), 0) + 1 FROM changes), NEW.from_step)
    ON CONFLICT (kind, subject) DO UPDATE SET revision = excluded.revision, from_step = min(from_step, excluded.from_step);
END;

-- Triggers do it, so that no writer can forget to. Steps that are inserted have none, which would cost each of them: their block
-- is written with them, once for all of a batch.
CREATE TRIGGER run_insert_moves AFTER INSERT ON runs BEGIN
    INSERT INTO changed VALUES ('run', NEW.id, NULL);
END;
CREATE TRIGGER run_update_moves AFTER UPDATE ON runs BEGIN
    INSERT INTO changed VALUES ('run', NEW.id, NULL);
END;
CREATE TRIGGER run_delete_moves AFTER DELETE ON runs BEGIN
    INSERT INTO changed VALUES ('run', OLD.id, NULL);
END;
CREATE TRIGGER stage_insert_moves AFTER INSERT ON run_stages BEGIN
    INSERT INTO changed VALUES ('run', NEW.run_id, NULL);
END;
CREATE TRIGGER stage_update_moves AFTER UPDATE ON run_stages BEGIN
    INSERT INTO changed VALUES ('run', NEW.run_id, NULL);
END;
CREATE TRIGGER stage_delete_moves AFTER DELETE ON run_stages BEGIN
    INSERT INTO changed VALUES ('run', OLD.run_id, NULL);
END;
CREATE TRIGGER execution_update_moves AFTER UPDATE OF status, log ON executions BEGIN
    INSERT INTO changed SELECT DISTINCT 'run', run_id, NULL FROM run_stages WHERE execution_id = NEW.id;
END;
CREATE TRIGGER verdict_insert_moves AFTER INSERT ON verdicts BEGIN
    INSERT INTO changed VALUES ('run', NEW.run_id, NULL);
END;
CREATE TRIGGER verdict_update_moves AFTER UPDATE ON verdicts BEGIN
    INSERT INTO changed VALUES ('run', NEW.run_id, NULL);
END;
CREATE TRIGGER verdict_delete_moves AFTER DELETE ON verdicts BEGIN
    INSERT INTO changed VALUES ('run', OLD.run_id, NULL);
END;
CREATE TRIGGER confirmation_insert_moves AFTER INSERT ON confirmations BEGIN
    INSERT INTO changed VALUES ('run', NEW.run_id, NULL);
END;
CREATE TRIGGER confirmation_update_moves AFTER UPDATE ON confirmations BEGIN
    INSERT INTO changed VALUES ('run', NEW.run_id, NULL);
END;
CREATE TRIGGER confirmation_delete_moves AFTER DELETE ON confirmations BEGIN
    INSERT INTO changed VALUES ('run', OLD.run_id, NULL);
END;
CREATE TRIGGER metric_insert_moves AFTER INSERT ON metrics BEGIN
    INSERT INTO changed SELECT DISTINCT 'run', run_id, NULL FROM run_stages WHERE execution_id = NEW.execution_id;
END;
CREATE TRIGGER metric_update_moves AFTER UPDATE ON metrics BEGIN
    INSERT INTO changed SELECT DISTINCT 'run', run_id, NULL FROM run_stages WHERE execution_id = NEW.execution_id;
END;
CREATE TRIGGER metric_delete_moves AFTER DELETE ON metrics BEGIN
    INSERT INTO changed SELECT DISTINCT 'run', run_id, NULL FROM run_stages WHERE execution_id = OLD.execution_id;
END;
CREATE TRIGGER event_of_run_moves AFTER INSERT ON events WHEN NEW.run_id IS NOT NULL BEGIN
    INSERT INTO changed VALUES ('run', NEW.run_id, NULL);
END;
CREATE TRIGGER event_of_trajectory_moves AFTER INSERT ON events WHEN NEW.trajectory_id IS NOT NULL BEGIN
    INSERT INTO changed VALUES ('trajectory', NEW.trajectory_id, NULL);
END;
CREATE TRIGGER event_of_execution_moves AFTER INSERT ON events
WHEN NEW.trajectory_id IS NULL AND NEW.execution_id IS NOT NULL BEGIN
    INSERT INTO changed SELECT DISTINCT 'run', run_id, NULL FROM run_stages WHERE execution_id = NEW.execution_id;
END;
CREATE TRIGGER study_insert_moves AFTER INSERT ON study_runs BEGIN
    INSERT INTO changed VALUES ('study', NEW.study_id, NULL);
END;
CREATE TRIGGER study_update_moves AFTER UPDATE ON study_runs BEGIN
    INSERT INTO changed VALUES ('study', NEW.study_id, NULL);
END;
CREATE TRIGGER study_delete_moves AFTER DELETE ON study_runs BEGIN
    INSERT INTO changed VALUES ('study', OLD.study_id, NULL);
END;
CREATE TRIGGER score_in_training_insert_moves AFTER INSERT ON evaluations WHEN NEW.trajectory_id IS NOT NULL BEGIN
    INSERT INTO changed VALUES ('trajectory', NEW.trajectory_id, NULL);
END;
CREATE TRIGGER score_insert_moves AFTER INSERT ON evaluations WHEN NEW.trajectory_id IS NULL BEGIN
    INSERT INTO changed SELECT DISTINCT 'run', run_id, NULL FROM run_stages WHERE execution_id = NEW.execution_id;
END;
CREATE TRIGGER score_in_training_update_moves AFTER UPDATE ON evaluations WHEN NEW.trajectory_id IS NOT NULL BEGIN
    INSERT INTO changed VALUES ('trajectory', NEW.trajectory_id, NULL);
END;
CREATE TRIGGER score_update_moves AFTER UPDATE ON evaluations WHEN NEW.trajectory_id IS NULL BEGIN
    INSERT INTO changed SELECT DISTINCT 'run', run_id, NULL FROM run_stages WHERE execution_id = NEW.execution_id;
END;
CREATE TRIGGER score_in_training_delete_moves AFTER DELETE ON evaluations WHEN OLD.trajectory_id IS NOT NULL BEGIN
    INSERT INTO changed VALUES ('trajectory', OLD.trajectory_id, NULL);
END;
CREATE TRIGGER score_delete_moves AFTER DELETE ON evaluations WHEN OLD.trajectory_id IS NULL BEGIN
    INSERT INTO changed SELECT DISTINCT 'run', run_id, NULL FROM run_stages WHERE execution_id = OLD.execution_id;
END;
CREATE TRIGGER block_insert_moves AFTER INSERT ON step_blocks BEGIN
    INSERT INTO changed VALUES ('trajectory', NEW.trajectory_id, NULL);
END;
CREATE TRIGGER block_update_moves AFTER UPDATE ON step_blocks BEGIN
    INSERT INTO changed VALUES ('trajectory', NEW.trajectory_id, NULL);
END;
CREATE TRIGGER checkpoint_insert_moves AFTER INSERT ON checkpoints BEGIN
    INSERT INTO changed VALUES ('trajectory', NEW.trajectory_id, NULL);
END;
CREATE TRIGGER checkpoint_update_moves AFTER UPDATE ON checkpoints BEGIN
    INSERT INTO changed VALUES ('trajectory', NEW.trajectory_id, NULL);
END;
CREATE TRIGGER checkpoint_delete_moves AFTER DELETE ON checkpoints BEGIN
    INSERT INTO changed VALUES ('trajectory', OLD.trajectory_id, NULL);
END;
CREATE TRIGGER series_insert_moves AFTER INSERT ON series BEGIN
    INSERT INTO changed VALUES ('trajectory', NEW.trajectory_id, NULL);
END;
CREATE TRIGGER step_update_replaces AFTER UPDATE ON steps BEGIN
    INSERT INTO changed VALUES ('replaced', OLD.trajectory_id, min(OLD.step, NEW.step));
END;
CREATE TRIGGER step_delete_replaces AFTER DELETE ON steps BEGIN
    INSERT INTO changed VALUES ('replaced', OLD.trajectory_id, OLD.step);
END;
CREATE TRIGGER value_update_replaces AFTER UPDATE ON series_values BEGIN
    INSERT INTO changed SELECT 'replaced', trajectory_id, min(OLD.step, NEW.step) FROM series WHERE id = OLD.series_id;
END;
CREATE TRIGGER value_delete_replaces AFTER DELETE ON series_values BEGIN
    INSERT INTO changed SELECT 'replaced', trajectory_id, OLD.step FROM series WHERE id = OLD.series_id;
END;

-- -------------------------------------------------------------------------------------------------------- public views
-- The length of a block, 1024 steps, stands here as a number, since a view takes no parameter.

-- How far a run has come: its own length caps a longer trajectory. `steps` is the step after its last.
CREATE VIEW run_extent AS
SELECT r.id AS run,
       r.trajectory_id,
       min(coalesce(r.steps, r.length, 9223372036854775807),
           coalesce((SELECT max(s.step) + 1 FROM steps s WHERE s.trajectory_id = r.trajectory_id),
                    t.parent_step, 0)) AS steps
FROM runs r
LEFT JOIN trajectories t ON t.id = r.trajectory_id;

CREATE VIEW trajectory_steps AS
SELECT p.trajectory_id, s.step, s.epoch, s.loss, s.loss_kind, s.learning_rate, s.grad_norm, s.clipped, s.update_ratio,
       s.overshoot, s.logit_max, s.entropy, s.sharpness, s.tokens, s.seconds, s.nonfinite, s.window, s.source_id, s.place
FROM trajectory_parts p
JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= p.first_step AND s.step < p.end_step;

-- A block in whose middle a fork began is the fork's: it sums up the parent's steps of that block too.
CREATE VIEW trajectory_blocks AS
SELECT p.trajectory_id, b.block, b.steps, b.finite, b.minimum, b.maximum, b.sum, b.first_nonfinite, b.tokens, b.chain,
       b.last_step, b.missing
FROM trajectory_parts p
JOIN step_blocks b ON b.trajectory_id = p.holder_id AND b.block >= p.first_step / 1024 AND b.block < p.end_step / 1024;

-- Whole blocks are read from step_blocks, and a run's last block too where it ends with the run, so that a run of a million
-- steps costs a thousand rows, and one of fewer than a block's costs one; only a block that is cut is read from steps. Each range
-- of steps stands in one pair of bounds, for an index is searched by no more. Scores are joined here and not taken from
-- run_evaluations, whose union SQLite would scan for each run; those of the stage evaluate come first, and others are sought
-- only where there is none. Losses are over finite steps; what was not finite stands beside them. The last loss is found from the
-- end: nearly always it is the last step's.
CREATE VIEW run_summary AS
WITH extent AS (
    SELECT run, t, n, CASE WHEN last_step < n THEN n + 1023 ELSE n END / 1024 * 1024 AS whole
    FROM (
        SELECT run, trajectory_id AS t, steps AS n,
               (SELECT b.last_step FROM trajectory_blocks b
                 WHERE b.trajectory_id = e.trajectory_id AND b.block = e.steps / 1024) AS last_step
        FROM run_extent e
    )
)
SELECT r.id AS run,
       x.name AS experiment,
       (SELECT sr.point FROM study_runs sr WHERE sr.run_id = r.id ORDER BY sr.study_id LIMIT 1) AS point,
       r.status,
       r.seed,
       -- Without a parameter of that name, the first rate that the first steps report.
       coalesce((SELECT p.value FROM params p WHERE p.run_id = r.id AND p.name = 'train.learning_rate'),
                (SELECT rate FROM (
                     SELECT s.learning_rate AS rate
                     FROM trajectory_parts p
                     CROSS JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= p.first_step
                       AND s.step < min(p.end_step, e.n)
                     WHERE p.trajectory_id = e.t
                     ORDER BY p.first_step, s.step LIMIT 1024)
                  WHERE rate IS NOT NULL LIMIT 1)) AS learning_rate,
       e.n AS steps,
       (SELECT s.loss FROM trajectory_parts p
         CROSS JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= p.first_step AND s.step < min(p.end_step, e.n)
         WHERE p.trajectory_id = e.t AND s.loss_kind IS NOT NULL
         ORDER BY p.first_step DESC, s.step DESC LIMIT 1) AS last_loss,
       (SELECT s.loss_kind FROM trajectory_parts p
         CROSS JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= p.first_step AND s.step < min(p.end_step, e.n)
         WHERE p.trajectory_id = e.t AND s.loss_kind IS NOT NULL
         ORDER BY p.first_step DESC, s.step DESC LIMIT 1) AS last_loss_kind,
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
            SELECT sum(b.steps - b.finite - b.missing) AS k FROM trajectory_blocks b
             WHERE b.trajectory_id = e.t AND b.block < e.whole / 1024
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
       (SELECT j.verdict FROM verdicts j WHERE j.run_id = r.id) AS verdict,
       r.name,
       r.loss_unit
FROM runs r
LEFT JOIN experiments x ON x.id = r.experiment_id
JOIN extent e ON e.run = r.id
LEFT JOIN evaluations valid ON valid.id = coalesce((
    SELECT v.id FROM run_stages rs JOIN evaluations v ON v.execution_id = rs.execution_id
     WHERE rs.run_id = r.id AND rs.stage = 'evaluate' AND v.split = 'valid' ORDER BY rs.step DESC LIMIT 1), (
    SELECT id FROM (
        SELECT v.id, v.step FROM trajectory_parts p CROSS JOIN evaluations v ON v.trajectory_id = p.holder_id
           AND v.step >= p.first_step AND v.step < p.end_step AND v.step <= e.n
         WHERE p.trajectory_id = e.t AND v.split = 'valid' AND v.source IN ('command', 'import')
        UNION ALL
        SELECT v.id, coalesce(v.step, rs.step) FROM run_stages rs JOIN evaluations v ON v.execution_id = rs.execution_id
         WHERE rs.run_id = r.id AND v.trajectory_id IS NULL AND v.split = 'valid' AND v.source IN ('command', 'import')
    ) ORDER BY step DESC LIMIT 1))
LEFT JOIN evaluations test ON test.id = coalesce((
    SELECT v.id FROM run_stages rs JOIN evaluations v ON v.execution_id = rs.execution_id
     WHERE rs.run_id = r.id AND rs.stage = 'evaluate' AND v.split = 'test' ORDER BY rs.step DESC LIMIT 1), (
    SELECT id FROM (
        SELECT v.id, v.step FROM trajectory_parts p CROSS JOIN evaluations v ON v.trajectory_id = p.holder_id
           AND v.step >= p.first_step AND v.step < p.end_step AND v.step <= e.n
         WHERE p.trajectory_id = e.t AND v.split = 'test' AND v.source IN ('command', 'import')
        UNION ALL
        SELECT v.id, coalesce(v.step, rs.step) FROM run_stages rs JOIN evaluations v ON v.execution_id = rs.execution_id
         WHERE rs.run_id = r.id AND v.trajectory_id IS NULL AND v.split = 'test' AND v.source IN ('command', 'import')
    ) ORDER BY step DESC LIMIT 1));

CREATE VIEW run_params AS
SELECT run_id AS run, name, value FROM params;

CREATE VIEW run_steps AS
SELECT r.id AS run, s.step, s.epoch, s.loss, s.loss_kind, s.learning_rate, s.grad_norm, s.clipped, s.update_ratio,
       s.overshoot, s.logit_max, s.entropy, s.sharpness, s.tokens, s.seconds, s.nonfinite, s.window, s.source_id, s.place
FROM runs r
JOIN trajectory_steps s ON s.trajectory_id = r.trajectory_id AND s.step < coalesce(r.steps, r.length, 9223372036854775807);

CREATE VIEW run_series AS
SELECT r.id AS run, x.name AS series, v.step, v.value, v.value_kind, v.source_id, v.place
FROM runs r
JOIN trajectory_parts p ON p.trajectory_id = r.trajectory_id
JOIN series x ON x.trajectory_id = p.holder_id
JOIN series_values v ON v.series_id = x.id AND v.step >= p.first_step
 AND v.step < min(p.end_step, coalesce(r.steps, r.length, 9223372036854775807));

CREATE VIEW run_evaluations AS
SELECT rs.run_id AS run, rs.step, e.split, e.loss, e.loss_kind, e.perplexity, e.tokens, e.seconds, e.source, e.source_id, e.place
FROM run_stages rs
JOIN evaluations e ON e.execution_id = rs.execution_id AND e.source = 'evaluate'
WHERE rs.stage = 'evaluate'
UNION ALL
SELECT r.id, e.step, e.split, e.loss, e.loss_kind, e.perplexity, e.tokens, e.seconds, e.source, e.source_id, e.place
FROM runs r
JOIN trajectory_parts p ON p.trajectory_id = r.trajectory_id
JOIN evaluations e ON e.trajectory_id = p.holder_id AND e.source <> 'evaluate'
 -- A look belongs to the step after it.
 AND e.step >= p.first_step AND e.step < p.end_step AND e.step <= coalesce(r.steps, r.length, 9223372036854775807)
 -- At its last step a training looks only under rules that judge the end: a look there is else that of a longer one.
 AND (e.source <> 'train' OR e.step < coalesce(r.steps, r.length, 9223372036854775807)
      OR EXISTS (SELECT 1 FROM params o WHERE o.run_id = r.id
                  AND (o.name = 'train.early_stopping.every' OR o.name = 'train.checkpoints.keep' AND o.value = 'best')))
 AND (r.last_evaluation IS NULL OR e.id <= r.last_evaluation)
UNION ALL
SELECT rs.run_id, coalesce(e.step, rs.step), e.split, e.loss, e.loss_kind, e.perplexity, e.tokens, e.seconds, e.source,
       e.source_id, e.place
FROM run_stages rs
JOIN evaluations e ON e.execution_id = rs.execution_id AND e.source IN ('command', 'import') AND e.trajectory_id IS NULL;

CREATE VIEW run_metrics AS
SELECT rs.run_id AS run, rs.stage, m.name, m.split, coalesce(m.step, rs.step) AS step, m.value, m.value_kind, m.source_id, m.place
FROM run_stages rs
JOIN metrics m ON m.execution_id = rs.execution_id;

CREATE VIEW run_baselines AS
SELECT rs.run_id AS run, b.split, b.model, b.n, b.loss, b.perplexity, b.tokens
FROM run_stages rs
JOIN baselines b ON b.execution_id = rs.execution_id
WHERE rs.stage = 'baselines';

CREATE VIEW run_samples AS
SELECT rs.run_id AS run, rs.step, s.position, s.decode, s.prompt, s.text, s.tokens, s.distinct_1, s.distinct_2,
       s.seq_rep_4, s.loop_period, s.loop_onset, s.why_empty
FROM run_stages rs
JOIN samples s ON s.execution_id = rs.execution_id
WHERE rs.stage = 'sample';

CREATE VIEW run_events AS
SELECT r.id AS run, e.step, e.kind, e.message, e.created_at
FROM runs r
JOIN trajectory_parts p ON p.trajectory_id = r.trajectory_id
JOIN events e ON e.trajectory_id = p.holder_id
 AND (e.step IS NULL AND p.holder_id = r.trajectory_id
      OR e.step >= p.first_step AND e.step < p.end_step AND e.step < coalesce(r.steps, r.length, 9223372036854775807))
UNION ALL
SELECT rs.run_id, e.step, e.kind, e.message, e.created_at
FROM run_stages rs
JOIN events e ON e.execution_id = rs.execution_id
WHERE e.trajectory_id IS NULL
UNION ALL
SELECT e.run_id, e.step, e.kind, e.message, e.created_at
FROM events e
WHERE e.run_id IS NOT NULL;

CREATE VIEW run_verdicts AS
SELECT run_id AS run, verdict, cause, onset, recovered, sentence, advice, rules, created_at FROM verdicts;

CREATE VIEW run_findings AS
SELECT run_id AS run, position, finding, step, sentence FROM verdict_findings;

CREATE VIEW run_evidence AS
SELECT run_id AS run, position, about, signal, value, value_kind, bound, step, sentence FROM verdict_evidence;

CREATE VIEW run_checks AS
SELECT run_id AS run, position, name, made, note FROM verdict_checks;

CREATE VIEW run_confirmations AS
SELECT run_id AS run, trial_id AS trial, cause, outcome, sentence, created_at FROM confirmations;

CREATE VIEW run_lineage AS
SELECT rs.run_id AS run, rs.stage, rs.item, rs.how, x.uid AS execution, x.stage_key, 'input' AS direction, i.name, i.digest
FROM run_stages rs
JOIN executions x ON x.id = rs.execution_id
JOIN execution_inputs i ON i.execution_id = x.id
UNION ALL
SELECT rs.run_id, rs.stage, rs.item, rs.how, x.uid, x.stage_key, 'output', o.name, o.digest
FROM run_stages rs
JOIN executions x ON x.id = rs.execution_id
JOIN execution_outputs o ON o.execution_id = x.id;

-- Logs that the executions of a run read, and those that read what else there is of its trajectory.
CREATE VIEW run_sources AS
SELECT rs.run_id AS run, s.id AS source_id, s.path, s.digest, s.bytes, s.format, s.columns
FROM run_stages rs
JOIN sources s ON s.execution_id = rs.execution_id
UNION
SELECT r.id, s.id, s.path, s.digest, s.bytes, s.format, s.columns
FROM runs r
JOIN trajectory_parts p ON p.trajectory_id = r.trajectory_id
JOIN executions x ON x.trajectory_id = p.holder_id
JOIN sources s ON s.execution_id = x.id;

-- The forks that a run's trajectory goes through; the parent is the first run that has the checkpoint. A realisation that left
-- another of its identity is no fork.
CREATE VIEW run_forks AS
SELECT r.id AS run, p.first_step AS step,
       (SELECT min(x.run) FROM run_extent x WHERE x.trajectory_id = t.parent_id AND x.steps >= t.parent_step) AS parent
FROM runs r
JOIN trajectory_parts p ON p.trajectory_id = r.trajectory_id
JOIN trajectories t ON t.id = p.holder_id
JOIN trajectories o ON o.id = t.parent_id AND o.identity <> t.identity;

CREATE VIEW study_by_learning_rate AS
SELECT st.id AS study_id, st.name AS study, s.learning_rate, count(*) AS runs,
       sum(s.nonfinite_steps > 0) AS nonfinite_runs,
       avg(s.last_loss) AS mean_last_loss, min(s.best_loss) AS best_loss,
       min(s.valid_perplexity) AS best_valid_perplexity, avg(s.valid_perplexity) AS mean_valid_perplexity,
       sum(s.steps) AS steps, sum(s.nonfinite_steps) AS nonfinite_steps,
       min(s.first_nonfinite_step) AS first_nonfinite_step
FROM studies st
JOIN study_runs sr ON sr.study_id = st.id
JOIN run_summary s ON s.run = sr.run_id
GROUP BY st.id, s.learning_rate;

-- What changed at which revision, with every run that shows a trajectory that did. The kinds are no terms for an index (`+`): who
-- asks for what is new asks by revision.
CREATE VIEW record_changes AS
SELECT c.revision, c.kind, c.subject AS run, NULL AS study, NULL AS from_step
FROM changes c
WHERE +c.kind = 'run'
UNION ALL
SELECT c.revision, c.kind, NULL, c.subject, NULL
FROM changes c
WHERE +c.kind = 'study'
UNION ALL
SELECT c.revision, c.kind, r.id, NULL, max(c.from_step, p.first_step)
FROM changes c
JOIN trajectory_parts p ON p.holder_id = c.subject AND coalesce(c.from_step, p.first_step) < p.end_step
JOIN runs r ON r.trajectory_id = p.trajectory_id
WHERE +c.kind IN ('trajectory', 'replaced');
