"""Checks what a record must be, without the program's own code: with sqlite3 and hashlib only.

`picture` is what finished runs show, to the bit; `compare` compares it with the picture of undisturbed runs. `seen` is
what a reader found committed at some moment; `lost` is what of it is missing later. `examine` checks a record and its
store by themselves. Findings are pairs (kind, text). No function raises on a damaged database, except `picture`.
"""

import contextlib
import hashlib
import math
import re
import shutil
import sqlite3
import struct
import tempfile
from pathlib import Path

BLOCK = 1024
PARTS = {
    "steps": "SELECT run, step, epoch, loss, loss_kind, learning_rate, grad_norm, clipped, update_ratio, overshoot, logit_max,"
    " entropy, sharpness, tokens, nonfinite FROM run_steps ORDER BY run, step",
    "evaluations": "SELECT run, step, split, loss, loss_kind, perplexity, tokens, source FROM run_evaluations"
    " ORDER BY run, step, split, source",
    "samples": "SELECT run, step, position, decode, prompt, text, tokens FROM run_samples ORDER BY run, step, position",
    "baselines": "SELECT run, split, model, loss, tokens FROM run_baselines ORDER BY run, split, model",
    "objects": "SELECT run, stage, item, name, digest FROM run_lineage WHERE direction = 'output'"
    " ORDER BY run, stage, item, name",
    "events": "SELECT run, step, kind, message FROM run_events WHERE kind IN ('nonfinite', 'rate_lowered',"
    " 'stopped_nonfinite', 'stopped_early') ORDER BY run, step, kind",
    "summary": "SELECT run, status, seed, steps, last_loss, last_loss_kind, best_loss, valid_perplexity, test_perplexity,"
    " nonfinite_steps, first_nonfinite_step FROM run_summary ORDER BY run",
    "verdict": "SELECT run, verdict, cause, onset, recovered FROM run_verdicts ORDER BY run",
}


def exact(value):
    """A value that compares bit by bit, except that all NaNs are equal: −0 is not 0."""
    if isinstance(value, float):
        return "f" + struct.pack(">d", value).hex() if value == value else "nan"
    return value


@contextlib.contextmanager
def reading(database, alive=False):
    """A connection to the database while it is written (`alive`), else to a copy: reading must not apply its log."""
    with contextlib.ExitStack() as stack:
        if not alive:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torture-look-")))
            for ending in ("", "-wal"):
                source = Path(f"{database}{ending}")
                if source.exists():
                    shutil.copyfile(source, folder / f"copy.db{ending}")
            database = folder / "copy.db"
        connection = sqlite3.connect(f"{Path(database).as_uri()}?mode={'ro' if alive else 'rw'}", uri=True, timeout=30)
        connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        stack.callback(connection.close)
        yield connection


def picture(database):
    """The number and the parts of each finished run, by all the run's parameters."""
    with reading(database) as c:
        params = {}
        for run, name, value in c.execute("SELECT run, name, value FROM run_params ORDER BY run, name"):
            # A run's identity does not include the corpus's folder, nor `baselines`, which older runs do not have.
            if name.startswith("baselines."):
                continue
            params.setdefault(run, []).append((name, Path(value).name if name == "corpus.text" else exact(value)))
        finished = [run for (run,) in c.execute("SELECT id FROM runs WHERE status = 'finished' ORDER BY id")]
        parts = {run: {} for run in finished}
        for part, query in PARTS.items():
            for run, *row in c.execute(query):
                if run in parts:
                    parts[run].setdefault(part, []).append(tuple(exact(value) for value in row))
        shown = {}
        for run in finished:
            shown.setdefault(repr(params.get(run)), []).append((run, parts[run]))
        return shown


def compare(expected, found, numbers=True):
    """How the finished runs of a record differ from undisturbed ones. `expected` is a picture, or several merged."""
    findings = []
    for key, runs in expected.items():
        there = found.get(key, [])
        if not there:
            findings.append(("a run is missing", f"run{runs[0][0]} of the reference is not among the finished runs"))
            continue
        if len(there) > len(runs):
            findings.append(("a duplicate run", f"runs {[run for run, _ in there]} have the same parameters"))
        for (number, wanted), (run, parts) in zip(runs, there):
            if numbers and number != run:
                findings.append(("a different run number", f"run{number} of the reference is run{run} here"))
            for part in sorted(set(wanted) | set(parts)):
                if part == "verdict" and part not in parts:
                    continue
                difference = first_difference(wanted.get(part, []), parts.get(part, []))
                more = sorted(set(parts.get(part, [])) - set(wanted.get(part, [])), key=repr) if part == "evaluations" else []
                if len(more) == len(parts.get(part, [])) - len(wanted.get(part, [])) == 1 and more[0][6] == "train":
                    # A longer training evaluated the validation loss at this run's end; the run itself did not.
                    findings.append(("an ended run shows a later evaluation", f"run{run} evaluations: {more[0]}"))
                elif difference:
                    findings.append((f"different {part}", f"run{run} {part}: {difference}"))
    for key in set(found) - set(expected):
        findings.append(("an unexpected run", f"run{found[key][0][0]}: {key[:300]}"))
    return findings


def first_difference(wanted, found):
    """The first row in which two lists differ, in words."""
    for i in range(max(len(wanted), len(found))):
        a = wanted[i] if i < len(wanted) else "no row"
        b = found[i] if i < len(found) else "no row"
        if a != b:
            return f"row {i} of {len(wanted)}: expected {a}, found {b}"
    return None


SEEN = {
    "step": "SELECT t.identity, s.step, s.loss, s.loss_kind, s.grad_norm FROM steps s JOIN trajectories t ON t.id = s.trajectory_id",
    "accepted result": "SELECT r.stage_key, x.uid FROM results r JOIN executions x ON x.id = r.execution_id",
    # Those between two kept checkpoints, which a stop leaves, are pruned later.
    "checkpoint": "SELECT t.identity, c.step, c.weights FROM checkpoints c JOIN trajectories t ON t.id = c.trajectory_id"
    " WHERE c.step % 100 = 0",
    "finished execution": "SELECT uid, stage, stage_key FROM executions WHERE status = 'finished'",
    "finished run": "SELECT uid, id FROM runs WHERE status = 'finished'",
    "evaluation": "SELECT x.uid, e.step, e.split, e.loss, e.source FROM evaluations e JOIN executions x ON x.id = e.execution_id"
    " WHERE x.status = 'finished'",
    "sample": "SELECT x.uid, s.position, s.text FROM samples s JOIN executions x ON x.id = s.execution_id"
    " WHERE x.status = 'finished'",
}
# What must survive a power cut. Steps after the last checkpoint may be recomputed.
DURABLE = ("accepted result", "checkpoint", "finished execution", "evaluation", "sample")


def seen(database, alive=False, what=SEEN):
    """What is committed now; nothing if there is no record yet."""
    found = {name: set() for name in what}
    try:
        with reading(database, alive) as c:
            c.execute("BEGIN")
            for name in what:
                found[name] = {tuple(exact(value) for value in row) for row in c.execute(SEEN[name])}
    except sqlite3.DatabaseError:
        # There is no file or no table yet, or the first process is just creating them.
        return {name: set() for name in what}
    return found


def lost(before, now):
    """What was committed and is now missing."""
    return [
        (f"a {name} was lost", f"{len(rows - now.get(name, set()))} lost, such as {sorted(map(str, rows - now[name]))[0]}")
        for name, rows in before.items()
        if rows - now.get(name, set())
    ]


def count_steps(database):
    """The number of committed steps, while programs write."""
    try:
        with reading(database, alive=True) as c:
            return c.execute("SELECT count(*) FROM steps").fetchone()[0]
    except sqlite3.DatabaseError:
        return 0


ENDED = """SELECT r.id, r.uid, r.status, r.finished_at, s.steps, s.last_loss, s.best_loss, s.nonfinite_steps,
    (SELECT count(*) FROM run_steps x WHERE x.run = r.id), (SELECT count(*) FROM run_evaluations x WHERE x.run = r.id)
    FROM runs r JOIN run_summary s ON s.run = r.id WHERE r.status IN ('failed', 'finished')"""


def ended(database):
    """What each finished or failed run shows."""
    try:
        with reading(database) as c:
            return {row[1]: tuple(exact(value) for value in row) for row in c.execute(ENDED)}
    except sqlite3.DatabaseError:
        return {}


def changed(before, now):
    """Failed runs that show something else now, although nothing was computed for them since."""
    findings = []
    for uid, row in before.items():
        after = now.get(uid)
        if after and after[2:4] == row[2:4] and after[:10] != row[:10] and row[2] == "failed":
            text = f"run{row[0]} {row[2]} showed {row[4]} steps ({row[8]} rows), now {after[4]} ({after[8]} rows)"
            findings.append(("an ended run shows another run's steps", text))
    return findings


SAID = re.compile(r"^\s+(tokenize|vocab|batch|baselines|train|evaluate|sample)\b.* done in ")


def said(text):
    """How many times each stage was reported as done."""
    counts = {}
    for line in text.splitlines():
        match = SAID.match(line)
        if match:
            counts[match[1]] = counts.get(match[1], 0) + 1
    return counts


def finished_by_stage(database, alive=False):
    """The number of finished executions of each stage."""
    try:
        with reading(database, alive) as c:
            return dict(c.execute("SELECT stage, count(*) FROM executions WHERE status = 'finished' GROUP BY stage"))
    except sqlite3.DatabaseError:
        return {}


def digest_of(path):
    """The SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def sound(database):
    """Checks the database by itself: its pages, its references, its blocks against its steps."""
    try:
        with reading(database) as c:
            if c.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
                # Nothing has been committed yet.
                return []
            findings = []
            pages = [row[0] for row in c.execute("PRAGMA integrity_check(3)")]
            if pages != ["ok"]:
                findings.append(("a damaged database", "; ".join(pages)))
            broken = c.execute("PRAGMA foreign_key_check").fetchall()
            if broken:
                findings.append(("a broken reference", f"{len(broken)}, such as {broken[0]}"))
            return findings + steps_and_blocks(c)
    except sqlite3.DatabaseError as error:
        return [("a damaged database", str(error))]


# The kinds of a loss.
KINDS = ("finite", "nan", "inf", "-inf")


def steps_and_blocks(c):
    """Checks that the steps of each trajectory have no gap, and that each block is the summary of its steps."""
    findings = []
    for trajectory, parent, start in c.execute("SELECT id, parent_id, coalesce(parent_step, 0) FROM trajectories").fetchall():
        own = c.execute("SELECT step FROM steps WHERE trajectory_id = ? ORDER BY step", (trajectory,)).fetchall()
        if [step for (step,) in own] != list(range(start, start + len(own))):
            text = f"trajectory {trajectory} has {len(own)} steps from {start}, not consecutive"
            findings.append(("a gap between steps", text))
            continue
        rows = c.execute(
            "SELECT step, loss, loss_kind, tokens FROM trajectory_steps WHERE trajectory_id = ? ORDER BY step", (trajectory,)
        ).fetchall()
        odd = [row for row in rows if row[2] not in KINDS or not isinstance(row[3], int) or not isinstance(row[1], (float, int, type(None)))]
        if odd:
            findings.append(("an impossible step", f"trajectory {trajectory}: {odd[0]}"))
            continue
        blocks, chain = {}, bytes(32)
        for step, loss, kind, tokens in rows:
            value = {"finite": loss, "nan": math.nan, "inf": math.inf, "-inf": -math.inf}[kind]
            block = blocks.setdefault(step // BLOCK, [0, 0, None, None, 0.0, None, 0, None])
            block[0] += 1
            block[6] += tokens
            if kind == "finite":
                block[1] += 1
                block[2] = value if block[2] is None else min(block[2], value)
                block[3] = value if block[3] is None else max(block[3], value)
                block[4] += value
            elif block[5] is None:
                block[5] = step
            bits = b"\0\0\0\0\0\0\xf8\x7f" if value != value else struct.pack("<d", value)
            chain = hashlib.sha256(chain + bits).digest()
            block[7] = chain
        kept = c.execute(
            "SELECT block, steps, finite, minimum, maximum, sum, first_nonfinite, tokens, chain FROM step_blocks"
            " WHERE trajectory_id = ? ORDER BY block",
            (trajectory,),
        ).fetchall()
        wanted = [(number, *block) for number, block in sorted(blocks.items()) if own and number >= start // BLOCK]
        if [tuple(map(exact, row)) for row in kept] != [tuple(map(exact, row)) for row in wanted]:
            text = f"trajectory {trajectory}: {first_difference(wanted, kept)}"
            findings.append(("a block contradicts its steps", text))
    return findings


WHOLE = """SELECT r.id, s.steps, count(x.step), coalesce(max(x.step), -1), coalesce(r.steps, r.length) FROM runs r
    JOIN run_summary s ON s.run = r.id LEFT JOIN run_steps x ON x.run = r.id
    WHERE r.status = 'finished' AND r.trajectory_id IS NOT NULL GROUP BY r.id"""
WRONG = """SELECT 'trajectory ' || trajectory_id || ' step ' || step FROM steps WHERE loss < 0 OR seconds < 0 OR seconds > 1e5 OR tokens <= 0
    OR tokens > 1e9 OR learning_rate <= 0 OR grad_norm < 0 OR epoch < 0
    UNION ALL SELECT 'evaluation ' || id FROM evaluations WHERE loss < 0 OR seconds < 0 OR tokens <= 0 OR tokens > 1e9
    UNION ALL SELECT 'event ' || id FROM events WHERE instr(message, char(27)) > 0
    UNION ALL SELECT 'error of run ' || id FROM runs WHERE instr(error, char(27)) > 0
    UNION ALL SELECT 'error of execution ' || id FROM executions WHERE instr(error, char(27)) > 0 OR length(error) > 100000
    OR peak_memory < 0 OR peak_memory > 1e14 OR seconds < 0"""
NEEDED = """SELECT digest, bytes FROM objects WHERE digest IN (
    SELECT digest FROM execution_outputs WHERE execution_id IN (SELECT execution_id FROM results)
    UNION SELECT weights FROM checkpoints UNION SELECT state FROM checkpoints WHERE state IS NOT NULL)"""


def examine(database, store, missing_weights=False):
    """Checks a record that nobody is writing, and its store: sound, complete, nothing running, every object intact."""
    findings = sound(database)
    try:
        with reading(database) as c:
            for table in ("runs", "executions"):
                running = [str(row[0]) for row in c.execute(f"SELECT id FROM {table} WHERE status = 'running'")]
                if running:
                    findings.append(("running without a process", f"{table} {', '.join(running)}"))
            for run, steps, rows, last, length in c.execute(WHOLE):
                if not steps == rows == last + 1 or rows > (length or 0):
                    text = f"run{run}: {steps} steps, {rows} rows, last {last}"
                    findings.append(("an incomplete finished run", text))
            wrong = [row[0] for row in c.execute(WRONG)]
            if wrong:
                findings.append(("an impossible value was recorded", ", ".join(wrong[:5])))
            needed = dict(c.execute(NEEDED))
    except sqlite3.DatabaseError as error:
        return findings + [("a damaged database", str(error))]
    for digest, size in needed.items():
        path = Path(store) / "sha256" / digest[:2] / digest[2:]
        if not path.is_file():
            findings.append(("an object is missing", digest))
        elif path.stat().st_size != size or digest_of(path) != digest:
            findings.append(("a damaged object", f"the content of {digest} differs from its name"))
    return findings


def leftovers(folder):
    """Temporary files in a folder with a record and its store, whose processes have all ended."""
    signs = re.compile(r"(/tmp/.+|/locks/(process|key)-[^/]+|[.-](new|tmp|part|partial|unfinished)(-journal)?|/(new|tmp|part|partial)-[^/]*)$")
    found = [str(path) for path in Path(folder).rglob("*") if signs.search("/" + str(path.relative_to(folder)))]
    return [("a temporary file was left", ", ".join(found[:4]))] if found else []
