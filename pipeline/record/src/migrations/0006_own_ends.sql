-- A run shows what it had when it ended. Until now only a finished run recorded its number of steps; one that failed or
-- was interrupted showed its trajectory as far as anybody has computed it since, up to its own length, so a training
-- that another run did later was shown by both and counted twice.

-- The newest row of `evaluations` when it ended: trainings of another length, or with other rules, look at the valid loss
-- of the same trajectory later. NULL while it runs.
ALTER TABLE runs ADD COLUMN last_evaluation INTEGER;
UPDATE runs SET last_evaluation = (SELECT coalesce(max(id), 0) FROM evaluations) WHERE status <> 'running';

-- An event of one run alone.
ALTER TABLE events ADD COLUMN run_id INTEGER REFERENCES runs (id);
CREATE INDEX events_by_run ON events (run_id) WHERE run_id IS NOT NULL;

-- What each such run has of its trajectory now, and what its own executions had computed when the last of them ended:
-- up to the last checkpoint that one of them wrote, or up to where the last of them began. What lies behind that in steps
-- that no checkpoint covers is given up, because the record does not say who computed a step.
CREATE TABLE ended_runs AS
WITH own AS (
    SELECT rs.run_id, x.id, x.trajectory_id, x.from_step
    FROM run_stages rs
    JOIN executions x ON x.id = rs.execution_id
    WHERE x.trajectory_id IS NOT NULL
)
SELECT r.id AS run, e.steps AS shown,
       max(coalesce((SELECT max(c.step) FROM checkpoints c JOIN own o ON o.id = c.execution_id
                      WHERE o.run_id = r.id AND c.trajectory_id = r.trajectory_id), 0),
           coalesce((SELECT max(o.from_step) FROM own o WHERE o.run_id = r.id AND o.trajectory_id = r.trajectory_id), 0),
           -- Steps that were there when somebody else went on with them.
           coalesce((SELECT x.from_step FROM executions x
                      WHERE x.trajectory_id = r.trajectory_id
                        AND x.id > (SELECT max(o.id) FROM own o
                                     WHERE o.run_id = r.id AND o.trajectory_id = r.trajectory_id)
                      ORDER BY x.id LIMIT 1), 0),
           coalesce((SELECT t.parent_step FROM trajectories t WHERE t.id = r.trajectory_id), 0)) AS computed,
       -- Whether anybody else has trained since. One that found all its steps computed has not.
       EXISTS (SELECT 1 FROM executions x
                WHERE x.trajectory_id = r.trajectory_id
                  AND x.id > coalesce((SELECT max(o.id) FROM own o
                                        WHERE o.run_id = r.id AND o.trajectory_id = r.trajectory_id), 0)
                  AND (x.to_step IS NULL OR x.from_step IS NULL OR x.to_step > x.from_step)
                  AND NOT EXISTS (SELECT 1 FROM run_stages rs WHERE rs.run_id = r.id AND rs.execution_id = x.id)) AS passed
FROM runs r
JOIN run_extent e ON e.run = r.id
WHERE r.status IN ('failed', 'interrupted') AND r.steps IS NULL AND r.trajectory_id IS NOT NULL;

INSERT INTO events (run_id, kind, message, created_at)
SELECT run, 'steps_cut',
       'shows ' || computed || ' of ' || shown || ' steps: no checkpoint of its own says who computed the others',
       strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
FROM ended_runs WHERE passed AND computed < shown;

-- Judged by steps that are not its own.
DELETE FROM verdict_findings WHERE run_id IN (SELECT run FROM ended_runs WHERE passed AND computed < shown);
DELETE FROM verdict_evidence WHERE run_id IN (SELECT run FROM ended_runs WHERE passed AND computed < shown);
DELETE FROM verdict_checks WHERE run_id IN (SELECT run FROM ended_runs WHERE passed AND computed < shown);
DELETE FROM verdicts WHERE run_id IN (SELECT run FROM ended_runs WHERE passed AND computed < shown);

UPDATE runs SET steps = (SELECT iif(e.passed, min(e.computed, e.shown), e.shown) FROM ended_runs e WHERE e.run = runs.id)
WHERE id IN (SELECT run FROM ended_runs);

DROP TABLE ended_runs;

DROP VIEW run_evaluations;
DROP VIEW run_events;

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
 AND e.step >= p.first_step AND e.step < p.end_step AND e.step <= coalesce(r.steps, r.length)
 -- At its last step a training looks only under rules that judge the end: a look there is else that of a longer one.
 AND (e.step < coalesce(r.steps, r.length)
      OR EXISTS (SELECT 1 FROM params o WHERE o.run_id = r.id
                  AND (o.name = 'train.early_stopping.every' OR o.name = 'train.checkpoints.keep' AND o.value = 'best')))
 AND (r.last_evaluation IS NULL OR e.id <= r.last_evaluation);

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
WHERE e.trajectory_id IS NULL
UNION ALL
SELECT e.run_id, e.step, e.kind, e.message, e.created_at
FROM events e
WHERE e.run_id IS NOT NULL;
