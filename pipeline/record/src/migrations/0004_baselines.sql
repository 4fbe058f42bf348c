-- Losses of models that count, so that a run that is worse than word frequencies is found in SQL. They belong to an execution
-- of the stage baselines, which all runs over one corpus share. Runs from before have none until they are asked for again.

CREATE TABLE baselines (
    execution_id INTEGER NOT NULL REFERENCES executions (id),
    split        TEXT NOT NULL,
    model        TEXT NOT NULL,
    n            INTEGER NOT NULL,         -- tokens of its longest n-grams; 0 for uniform
    loss         REAL NOT NULL,            -- always finite: every model gives every type a share
    perplexity   REAL NOT NULL,
    tokens       INTEGER NOT NULL,
    PRIMARY KEY (execution_id, split, model)
) STRICT, WITHOUT ROWID;

CREATE VIEW run_baselines AS
SELECT rs.run_id AS run, b.split, b.model, b.n, b.loss, b.perplexity, b.tokens
FROM run_stages rs
JOIN baselines b ON b.execution_id = rs.execution_id
WHERE rs.stage = 'baselines';
