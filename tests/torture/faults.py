"""Deliberate faults in a copy of a sound record, each of which the oracle must find: `torture.py --check-oracle`."""

import os
import sqlite3

import oracle
from lab import Space

STATEMENTS = {
    "a step is deleted": "DELETE FROM steps WHERE trajectory_id = 1 AND step = 500",
    "the last step is deleted": "DELETE FROM steps WHERE trajectory_id = 1 AND step = (SELECT max(step) FROM steps WHERE trajectory_id = 1)",
    "an extra step": "INSERT INTO steps (trajectory_id, step, epoch, loss, loss_kind, learning_rate, clipped, tokens, seconds)"
    " SELECT 1, max(step) + 1, 0, 1.0, 'finite', 0.1, 0, 64, 0.1 FROM steps WHERE trajectory_id = 1",
    "a step moves to another trajectory": "UPDATE steps SET trajectory_id = 3 WHERE trajectory_id = 1 AND step = 1099",
    "one bit of a loss": "UPDATE steps SET loss = loss * (1 + 2.3e-16) WHERE trajectory_id = 1 AND step = 700",
    "one bit of a gradient norm": "UPDATE steps SET grad_norm = grad_norm * (1 + 2.3e-16) WHERE trajectory_id = 1 AND step = 700",
    "the kind of a loss": "UPDATE steps SET loss_kind = 'inf' WHERE trajectory_id = 3 AND step = 10",
    "a learning rate": "UPDATE steps SET learning_rate = 0.02 WHERE trajectory_id = 1 AND step = 700",
    "a block's sum": "UPDATE step_blocks SET sum = sum + 1e-9 WHERE trajectory_id = 1 AND block = 0",
    "a block's hash": "UPDATE step_blocks SET chain = zeroblob(32) WHERE trajectory_id = 1 AND block = 1",
    "a block is deleted": "DELETE FROM step_blocks WHERE trajectory_id = 1 AND block = 1",
    "an evaluation is deleted": "DELETE FROM evaluations WHERE id = 5",
    "a duplicate evaluation": "INSERT INTO evaluations SELECT 99999, execution_id, source, trajectory_id, step, split, loss, loss_kind, perplexity,"
    " tokens, seconds, source_id, place FROM evaluations WHERE source = 'evaluate' LIMIT 1",
    "one bit of an evaluation": "UPDATE evaluations SET loss = loss * (1 + 2.3e-16) WHERE source = 'evaluate' AND loss IS NOT NULL",
    "a sample's text": "UPDATE samples SET text = text || '.' WHERE position = 0",
    "a baseline": "UPDATE baselines SET loss = loss + 1e-15 WHERE model = 'unigram'",
    "an output's digest": "UPDATE execution_outputs SET digest = (SELECT max(digest) FROM objects) WHERE name = 'vocab'",
    "a checkpoint is deleted": "DELETE FROM checkpoints WHERE trajectory_id = 1 AND step = 500",
    "a checkpoint's weights": "UPDATE checkpoints SET weights = (SELECT weights FROM checkpoints WHERE trajectory_id = 2 AND step = 500) WHERE trajectory_id = 1 AND step = 500",
    "an accepted result is deleted": "DELETE FROM results WHERE stage_key = (SELECT stage_key FROM executions WHERE stage = 'vocab')",
    "a finished run is interrupted": "UPDATE runs SET status = 'interrupted' WHERE id = 2",
    "a run is running": "UPDATE runs SET status = 'running' WHERE id = 2",
    "an execution is running": "UPDATE executions SET status = 'running' WHERE id = 2",
    "a run has another length": "UPDATE runs SET steps = 1000 WHERE id = 1",
    "a run's parameter": "UPDATE params SET value = 0.5 WHERE run_id = 1 AND name = 'train.learning_rate'",
    "a different run number": "PRAGMA foreign_keys = OFF; UPDATE runs SET id = 77 WHERE id = 1; UPDATE params SET run_id = 77 WHERE run_id = 1;"
    " UPDATE run_stages SET run_id = 77 WHERE run_id = 1; UPDATE study_runs SET run_id = 77 WHERE run_id = 1;"
    " UPDATE verdicts SET run_id = 77 WHERE run_id = 1",
    "a verdict": "UPDATE verdicts SET verdict = 'inconclusive' WHERE run_id = 1",
    "a broken reference": "PRAGMA foreign_keys = OFF; DELETE FROM executions WHERE id = 1",
    "an event": "DELETE FROM events WHERE kind = 'nonfinite'",
    "negative seconds": "UPDATE steps SET seconds = -1 WHERE trajectory_id = 1 AND step = 5",
    "an escape in an event": "UPDATE events SET message = char(27) || '[2J'",
    "a duplicate run": "INSERT INTO runs SELECT 9, 'x', run_key, experiment_id, status, point, seed, trajectory_id, length, steps, process, created_at,"
    " finished_at, seconds, host, program_version, git_commit, git_dirty, error, last_evaluation, name, directory, loss_unit, vocabulary"
    " FROM runs WHERE id = 1;"
    " INSERT INTO params SELECT 9, name, value FROM params WHERE run_id = 1",
}


def two_objects(space):
    """Swaps two objects."""
    a, b = sorted((space.store / "sha256").rglob("*/*"))[:2]
    a.rename(space.root / "a")
    b.rename(a)
    (space.root / "a").rename(b)


def needed(space, n):
    """The path of an object that the record needs."""
    with oracle.reading(space.database) as c:
        digest = sorted(digest for digest, _ in c.execute(oracle.NEEDED))[n]
    return space.store / "sha256" / digest[:2] / digest[2:]


def one_bit(space):
    """Flips one bit of an object."""
    path = needed(space, 3)
    os.chmod(path, 0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def page(space, value):
    """Overwrites the root page of the steps."""
    with sqlite3.connect(space.database) as c:
        c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = c.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'steps'").fetchone()[0]
    with open(space.database, "r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(value)


FILES = {
    "two objects are swapped": two_objects,
    "an object is gone": lambda space: needed(space, 2).unlink(),
    "one bit of an object": one_bit,
    "a page is zeroed": lambda space: page(space, bytes(4096)),
    "a file in the store's tmp": lambda space: (space.store / "tmp/x").write_text("x"),
    "a process's lock is left": lambda space: (space.store / "locks/process-x").write_text(""),
    "an unfinished note of a database": lambda space: (space.store / "databases/new-12").write_text(""),
}


def check(lab, say):
    """Makes each fault, reports which ones the oracle misses, and returns how many."""
    blind = 0
    for name, fault in [("no fault", None), *STATEMENTS.items(), *FILES.items()]:
        space = Space(lab, "check", 0)
        space.fill("first")
        before = oracle.seen(space.database)
        if isinstance(fault, str):
            with sqlite3.connect(space.database) as c:
                c.executescript(fault)
            c.close()
        elif fault:
            fault(space)
        found = oracle.examine(space.database, space.store) + oracle.lost(before, oracle.seen(space.database)) + oracle.leftovers(space.work)
        try:
            found += oracle.compare(lab.reference("first").picture, oracle.picture(space.database))
        except sqlite3.DatabaseError as error:
            found.append(("a damaged database", str(error)))
        if bool(found) != bool(fault):
            blind += 1
        verdict = "ok    " if bool(found) == bool(fault) else "MISSED" if fault else "WRONG "
        say(f"{verdict} {name}: {found[0][0] + ': ' + found[0][1][:90] if found else 'nothing found'}")
        space.close()
    return blind
