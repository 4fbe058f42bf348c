-- What the program concludes of a run, and from what. One verdict for each run; it is made again when the run has gone on
-- or the rules have changed, and whoever asks in SQL reads what was concluded last, with the version of its rules.

CREATE TABLE verdicts (
    run_id     INTEGER PRIMARY KEY REFERENCES runs (id),
    verdict    TEXT NOT NULL CHECK (verdict IN ('data_fault', 'diverged', 'unstable', 'too_low', 'stable', 'inconclusive')),
    cause      TEXT,                     -- what it is consistent with, in one word: sliding_window, rate_too_high
    onset      INTEGER,                  -- the step at which it began
    recovered  INTEGER CHECK (recovered IN (0, 1)),
    sentence   TEXT NOT NULL,
    advice     TEXT,                     -- NULL where there is nothing to advise, or a data fault forbids it
    rules      INTEGER NOT NULL,         -- the version of the rules
    seen       TEXT NOT NULL,            -- what there was of the run when it was judged
    created_at TEXT NOT NULL
) STRICT;

-- What else was found: overfitting, a plateau, a saturated softmax, collapsed samples.
CREATE TABLE verdict_findings (
    run_id   INTEGER NOT NULL REFERENCES verdicts (run_id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    finding  TEXT NOT NULL,
    step     INTEGER,
    sentence TEXT NOT NULL,
    PRIMARY KEY (run_id, position)
) STRICT, WITHOUT ROWID;

-- The figures that the verdict (or a finding: `about`) rests on, each beside the bound that it was held against.
CREATE TABLE verdict_evidence (
    run_id     INTEGER NOT NULL REFERENCES verdicts (run_id) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    about      TEXT NOT NULL,
    signal     TEXT NOT NULL,
    value      REAL,
    value_kind TEXT NOT NULL CHECK (value_kind IN ('finite', 'nan', 'inf', '-inf')),
    bound      REAL,
    step       INTEGER,
    sentence   TEXT NOT NULL,
    CHECK ((value IS NOT NULL) = (value_kind = 'finite')),
    PRIMARY KEY (run_id, position)
) STRICT, WITHOUT ROWID;

-- Which checks were made, and which were not and why.
CREATE TABLE verdict_checks (
    run_id   INTEGER NOT NULL REFERENCES verdicts (run_id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name     TEXT NOT NULL,
    made     INTEGER NOT NULL CHECK (made IN (0, 1)),
    note     TEXT NOT NULL,              -- what it came to, or why it was not made
    PRIMARY KEY (run_id, position)
) STRICT, WITHOUT ROWID;

-- What came of trying a cause: another run that is the same but for what the cause names.
CREATE TABLE confirmations (
    id         INTEGER PRIMARY KEY,
    run_id     INTEGER NOT NULL REFERENCES runs (id),
    trial_id   INTEGER NOT NULL REFERENCES runs (id),
    cause      TEXT NOT NULL,
    outcome    TEXT NOT NULL CHECK (outcome IN ('confirmed', 'not_confirmed', 'open')),
    sentence   TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (run_id, trial_id, cause)
) STRICT;

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

DROP VIEW study_by_learning_rate;
DROP VIEW run_summary;

-- Whole blocks are read from step_blocks and only the last, cut one from steps, so that a run of a million steps costs
-- a thousand rows; each range of steps stands in one pair of bounds, for an index is searched by no more. Scores are joined here and not taken from run_evaluations, whose union SQLite would scan for each run. Losses are over finite steps; what was not finite stands beside them.
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
            SELECT min(s.loss) FROM trajectory_parts p
              JOIN steps s ON s.trajectory_id = p.holder_id AND s.step >= max(p.first_step, e.whole)
               AND s.step < min(p.end_step, e.n)
             WHERE p.trajectory_id = e.t
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
