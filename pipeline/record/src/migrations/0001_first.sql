-- The first form of the record. Why it is cut this way: docs/sql.md and ARCHITECTURE.md ("The record").
-- Tables may change between versions, by further migrations; the views at the end are the public interface.

-- Facts about this database: 'store' is the path of the object store that its digests live in.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- An experiment's text as it was when it ran, with what the command line overrode.
CREATE TABLE experiments (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    path       TEXT NOT NULL,
    toml       TEXT NOT NULL,
    overrides  TEXT NOT NULL,            -- JSON list of the --set texts
    created_at TEXT NOT NULL,            -- UTC, ISO 8601, as every time here
    UNIQUE (name, toml, overrides)
) STRICT;

-- The points that an experiment's grid expands to.
CREATE TABLE studies (
    id            INTEGER PRIMARY KEY,
    experiment_id INTEGER NOT NULL REFERENCES experiments (id),
    name          TEXT NOT NULL,
    points        INTEGER NOT NULL,
    created_at    TEXT NOT NULL
) STRICT;
CREATE INDEX studies_by_name ON studies (name);

CREATE TABLE runs (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,   -- run42 is 42; a number is never given twice
    uid             TEXT NOT NULL UNIQUE,                -- survives merging databases
    run_key         TEXT NOT NULL,                       -- SHA-256 of the point and the stage versions: equal keys, equal runs
    experiment_id   INTEGER NOT NULL REFERENCES experiments (id),
    status          TEXT NOT NULL CHECK (status IN ('running', 'interrupted', 'failed', 'finished')),
    point           TEXT NOT NULL,                       -- JSON of every resolved parameter
    seed            INTEGER NOT NULL,
    trajectory_id   INTEGER REFERENCES trajectories (id),
    length          INTEGER,                             -- steps asked for
    steps           INTEGER,                             -- steps reached: fewer where the loss stayed non-finite
    process         TEXT,                                -- the process that works on it, while it does
    created_at      TEXT NOT NULL,
    finished_at     TEXT,
    seconds         REAL NOT NULL DEFAULT 0,             -- while something was computed for it, over all sittings
    host            TEXT NOT NULL,
    program_version TEXT NOT NULL,
    git_commit      TEXT,
    git_dirty       INTEGER CHECK (git_dirty IN (0, 1)),
    error           TEXT
) STRICT;
CREATE INDEX runs_by_key ON runs (run_key);
CREATE INDEX runs_by_trajectory ON runs (trajectory_id);
CREATE INDEX runs_running ON runs (process) WHERE status = 'running';

CREATE TABLE study_runs (
    study_id INTEGER NOT NULL REFERENCES studies (id),
    position INTEGER NOT NULL,           -- the point's place in the grid, from 0
    run_id   INTEGER NOT NULL REFERENCES runs (id),
    point    TEXT NOT NULL,              -- JSON of the swept parameters alone
    PRIMARY KEY (study_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX study_runs_by_run ON study_runs (run_id);

-- One hyper-parameter of a run, in its own type: booleans 0 and 1, lists as JSON.
CREATE TABLE params (
    run_id INTEGER NOT NULL REFERENCES runs (id),
    name   TEXT NOT NULL,                -- dotted, as in the experiment: train.learning_rate
    value  ANY,
    PRIMARY KEY (run_id, name)
) STRICT, WITHOUT ROWID;

-- A file in the store, named by the SHA-256 of its bytes.
CREATE TABLE objects (
    digest     TEXT PRIMARY KEY,
    bytes      INTEGER NOT NULL,
    created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One attempt to compute a stage key.
CREATE TABLE executions (
    id             INTEGER PRIMARY KEY,
    uid            TEXT NOT NULL UNIQUE,
    stage          TEXT NOT NULL,
    stage_key      TEXT NOT NULL,
    fields         TEXT NOT NULL,        -- JSON list of [name, value]: exactly what was hashed
    status         TEXT NOT NULL CHECK (status IN ('running', 'interrupted', 'failed', 'finished')),
    process        TEXT,
    started_at     TEXT NOT NULL,
    finished_at    TEXT,
    seconds        REAL,
    threads        INTEGER,
    device         TEXT,
    cpu_capability TEXT,
    libtorch       TEXT,
    peak_memory    INTEGER,              -- bytes; of its worker, which may have served others before
    exit           TEXT,                 -- how the worker ended, where it did not end well
    report         TEXT,                 -- JSON object of small facts: token counts, coverage, entropy
    trajectory_id  INTEGER REFERENCES trajectories (id),
    from_step      INTEGER,              -- the segment of the trajectory that it computed
    to_step        INTEGER,
    log            TEXT,                 -- the worker's log file, in the store's folder logs
    log_from       INTEGER,
    error          TEXT
) STRICT;
CREATE INDEX executions_by_key ON executions (stage_key);
CREATE INDEX executions_by_stage ON executions (stage, id);
CREATE INDEX executions_by_log ON executions (log, log_from);
CREATE INDEX executions_by_trajectory ON executions (trajectory_id);
CREATE INDEX executions_running ON executions (process) WHERE status = 'running';

-- Which execution's outputs are accepted for a key.
CREATE TABLE results (
    stage_key    TEXT PRIMARY KEY,
    execution_id INTEGER NOT NULL REFERENCES executions (id)
) STRICT, WITHOUT ROWID;

CREATE TABLE execution_inputs (
    execution_id INTEGER NOT NULL REFERENCES executions (id),
    name         TEXT NOT NULL,
    digest       TEXT NOT NULL,          -- an object, or a corpus file that is not in the store
    PRIMARY KEY (execution_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE execution_outputs (
    execution_id INTEGER NOT NULL REFERENCES executions (id),
    name         TEXT NOT NULL,
    digest       TEXT NOT NULL REFERENCES objects (digest),
    PRIMARY KEY (execution_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX execution_outputs_by_digest ON execution_outputs (digest);

-- Which execution served which stage of which run. `item` tells apart the executions of one stage: '100', '100 valid'.
CREATE TABLE run_stages (
    run_id       INTEGER NOT NULL REFERENCES runs (id),
    stage        TEXT NOT NULL,
    item         TEXT NOT NULL,
    step         INTEGER,                -- the checkpoint that it read, where it read one
    execution_id INTEGER NOT NULL REFERENCES executions (id),
    how          TEXT NOT NULL CHECK (how IN ('executed', 'cached')),
    PRIMARY KEY (run_id, stage, item)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_stages_by_execution ON run_stages (execution_id);

-- What fixes the numbers of a training. Steps and checkpoints belong to it, not to a run.
CREATE TABLE trajectories (
    id             INTEGER PRIMARY KEY,
    identity       TEXT NOT NULL UNIQUE,
    fields         TEXT NOT NULL,        -- JSON list of [name, value]: exactly what was hashed
    threads        INTEGER NOT NULL,     -- fixed when it starts: resuming uses the same
    cpu_capability TEXT NOT NULL,
    created_at     TEXT NOT NULL
) STRICT;

-- Checkpoint n: the weights after n updates. Either object may be gone again (checkpoints.keep).
CREATE TABLE checkpoints (
    trajectory_id INTEGER NOT NULL REFERENCES trajectories (id),
    step          INTEGER NOT NULL,
    weights       TEXT NOT NULL REFERENCES objects (digest),
    state         TEXT REFERENCES objects (digest),
    execution_id  INTEGER NOT NULL REFERENCES executions (id),
    PRIMARY KEY (trajectory_id, step)
) STRICT, WITHOUT ROWID;
CREATE INDEX checkpoints_by_weights ON checkpoints (weights);
CREATE INDEX checkpoints_by_state ON checkpoints (state);

-- One optimiser step. SQLite has no NaN, so `loss_kind` says what a loss was, and `nonfinite` names every other
-- measured column that was not finite ('grad_norm:inf'); NULL without that means not measured.
CREATE TABLE steps (
    trajectory_id INTEGER NOT NULL REFERENCES trajectories (id),
    step          INTEGER NOT NULL,
    epoch         INTEGER NOT NULL,
    loss          REAL,
    loss_kind     TEXT NOT NULL CHECK (loss_kind IN ('finite', 'nan', 'inf', '-inf')),
    learning_rate REAL NOT NULL,
    grad_norm     REAL,
    clipped       INTEGER NOT NULL,
    update_ratio  REAL,
    logit_max     REAL,
    entropy       REAL,
    tokens        INTEGER NOT NULL,
    seconds       REAL NOT NULL,
    nonfinite     TEXT,
    CHECK ((loss IS NOT NULL) = (loss_kind = 'finite')),
    PRIMARY KEY (trajectory_id, step)
) STRICT, WITHOUT ROWID;

-- 1,024 steps in one row, written in their transaction. `chain` is SHA-256(chain of the block's steps so far, bits of
-- the next loss), begun from the block before: two trajectories with equal chains have equal losses up to there.
CREATE TABLE step_blocks (
    trajectory_id   INTEGER NOT NULL REFERENCES trajectories (id),
    block           INTEGER NOT NULL,    -- step / 1024
    steps           INTEGER NOT NULL,
    finite          INTEGER NOT NULL,
    minimum         REAL,
    maximum         REAL,
    sum             REAL NOT NULL,
    first_nonfinite INTEGER,
    tokens          INTEGER NOT NULL,
    chain           BLOB NOT NULL,
    PRIMARY KEY (trajectory_id, block)
) STRICT, WITHOUT ROWID;

-- A split scored at one set of weights: by the stage evaluate, or by training itself (`source`).
CREATE TABLE evaluations (
    id            INTEGER PRIMARY KEY,
    execution_id  INTEGER NOT NULL REFERENCES executions (id),
    source        TEXT NOT NULL CHECK (source IN ('evaluate', 'train')),
    trajectory_id INTEGER REFERENCES trajectories (id),
    step          INTEGER,
    split         TEXT NOT NULL,
    loss          REAL,
    loss_kind     TEXT NOT NULL CHECK (loss_kind IN ('finite', 'nan', 'inf', '-inf')),
    perplexity    REAL,                  -- exp(loss); NULL where that is not finite
    tokens        INTEGER NOT NULL,
    seconds       REAL NOT NULL,
    CHECK ((loss IS NOT NULL) = (loss_kind = 'finite'))
) STRICT;
CREATE INDEX evaluations_by_execution ON evaluations (execution_id);
-- A resumed training scores a step again; the row is there once.
CREATE UNIQUE INDEX evaluations_in_training ON evaluations (trajectory_id, step, split) WHERE source = 'train';

CREATE TABLE samples (
    execution_id INTEGER NOT NULL REFERENCES executions (id),
    position     INTEGER NOT NULL,       -- the place in sample.decode, from 0
    decode       TEXT NOT NULL,          -- JSON
    prompt       TEXT NOT NULL,
    text         TEXT NOT NULL,
    tokens       INTEGER NOT NULL,
    distinct_1   REAL,
    distinct_2   REAL,
    seq_rep_4    REAL,
    loop_period  INTEGER,
    loop_onset   INTEGER,
    why_empty    TEXT,
    PRIMARY KEY (execution_id, position)
) STRICT, WITHOUT ROWID;

-- Of a trajectory (its numbers), or of an execution alone (what one run's settings made of them).
CREATE TABLE events (
    id            INTEGER PRIMARY KEY,
    execution_id  INTEGER REFERENCES executions (id),
    trajectory_id INTEGER REFERENCES trajectories (id),
    step          INTEGER,
    kind          TEXT NOT NULL,
    message       TEXT NOT NULL,
    created_at    TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_trajectory ON events (trajectory_id, step);
CREATE INDEX events_by_execution ON events (execution_id);

-- ------------------------------------------------------------------------------------------------ public views

-- How far a run has come: its own length caps a longer trajectory.
CREATE VIEW run_extent AS
SELECT r.id AS run,
       r.trajectory_id,
       min(coalesce(r.steps, r.length, 0),
           coalesce((SELECT max(s.step) + 1 FROM steps s WHERE s.trajectory_id = r.trajectory_id), 0)) AS steps
FROM runs r;

CREATE VIEW run_params AS
SELECT run_id AS run, name, value FROM params;

CREATE VIEW run_steps AS
SELECT r.id AS run, s.step, s.epoch, s.loss, s.loss_kind, s.learning_rate, s.grad_norm, s.clipped, s.update_ratio,
       s.logit_max, s.entropy, s.tokens, s.seconds, s.nonfinite
FROM runs r
JOIN steps s ON s.trajectory_id = r.trajectory_id AND s.step < coalesce(r.steps, r.length);

CREATE VIEW run_evaluations AS
SELECT rs.run_id AS run, rs.step, e.split, e.loss, e.loss_kind, e.perplexity, e.tokens, e.seconds, e.source
FROM run_stages rs
JOIN evaluations e ON e.execution_id = rs.execution_id AND e.source = 'evaluate'
WHERE rs.stage = 'evaluate'
UNION ALL
SELECT r.id, e.step, e.split, e.loss, e.loss_kind, e.perplexity, e.tokens, e.seconds, e.source
FROM runs r
JOIN evaluations e ON e.trajectory_id = r.trajectory_id AND e.source = 'train'
 AND e.step <= coalesce(r.steps, r.length);

CREATE VIEW run_samples AS
SELECT rs.run_id AS run, rs.step, s.position, s.decode, s.prompt, s.text, s.tokens, s.distinct_1, s.distinct_2,
       s.seq_rep_4, s.loop_period, s.loop_onset, s.why_empty
FROM run_stages rs
JOIN samples s ON s.execution_id = rs.execution_id
WHERE rs.stage = 'sample';

CREATE VIEW run_events AS
SELECT r.id AS run, e.step, e.kind, e.message, e.created_at
FROM runs r
JOIN events e ON e.trajectory_id = r.trajectory_id
 AND (e.step IS NULL OR e.step < coalesce(r.steps, r.length))
UNION ALL
SELECT rs.run_id, e.step, e.kind, e.message, e.created_at
FROM run_stages rs
JOIN events e ON e.execution_id = rs.execution_id
WHERE e.trajectory_id IS NULL;

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
       (SELECT s.loss FROM steps s WHERE s.trajectory_id = e.t AND s.step = e.n - 1) AS last_loss,
       (SELECT s.loss_kind FROM steps s WHERE s.trajectory_id = e.t AND s.step = e.n - 1) AS last_loss_kind,
       (SELECT min(m) FROM (
            SELECT min(b.minimum) AS m FROM step_blocks b WHERE b.trajectory_id = e.t AND b.block < e.whole / 1024
            UNION ALL
            SELECT min(s.loss) FROM steps s WHERE s.trajectory_id = e.t AND s.step >= e.whole AND s.step < e.n
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
            SELECT sum(b.steps - b.finite) AS k FROM step_blocks b WHERE b.trajectory_id = e.t AND b.block < e.whole / 1024
            UNION ALL
            SELECT count(*) FROM steps s
             WHERE s.trajectory_id = e.t AND s.step >= e.whole AND s.step < e.n AND s.loss_kind <> 'finite'
        )) AS nonfinite_steps,
       (SELECT min(k) FROM (
            SELECT min(b.first_nonfinite) AS k FROM step_blocks b WHERE b.trajectory_id = e.t AND b.block < e.whole / 1024
            UNION ALL
            SELECT min(s.step) FROM steps s
             WHERE s.trajectory_id = e.t AND s.step >= e.whole AND s.step < e.n AND s.loss_kind <> 'finite'
        )) AS first_nonfinite_step,
       r.error,
       r.created_at
FROM runs r
JOIN experiments x ON x.id = r.experiment_id
JOIN extent e ON e.run = r.id;

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
