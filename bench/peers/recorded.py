"""Reads what `pipeline` recorded: a run's parameters, steps, objects and batches. Used by the other scripts here.

Independent of the program: formats are read as docs/stage-protocol.md describes them, and windows and random numbers
are recomputed. Requires numpy.
"""

import hashlib
import importlib.util
import json
import sqlite3
import sys
from pathlib import Path

MASK = (1 << 64) - 1


def require(*modules):
    """Ends the program with an error if a module is not installed."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        if {"-h", "--help"} & set(sys.argv):
            print(sys.modules["__main__"].__doc__, file=sys.stderr)
        sys.exit(
            f"error: {sys.executable} lacks {', '.join(missing)}\n"
            "hint: pip install torch==2.11.0 numpy safetensors tokenizers"
        )


require("numpy")

import numpy  # noqa: E402


class Stream:
    """Random numbers from (seed, purpose, counter): SplitMix64 read at any position."""

    def __init__(self, seed, purpose):
        data = b"pipeline random 1\0" + seed.to_bytes(8, "little") + purpose.encode()
        self.start = int.from_bytes(hashlib.sha256(data).digest()[:8], "little")

    def bits(self, counter):
        """Number `counter` of the stream, an integer below 2⁶⁴."""
        z = (self.start + (counter + 1) * 0x9E3779B97F4A7C15) & MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)

    def many(self, n):
        """Numbers 0 to n − 1 as an array."""
        z = numpy.arange(1, n + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15) + numpy.uint64(self.start)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        return z ^ (z >> numpy.uint64(31))


class Plan:
    """The place of each row of each step in the corpus."""

    def __init__(self, path):
        plan = json.loads(Path(path).read_text())
        if plan["version"] != 1:
            sys.exit(f"error: {path}: a plan of version {plan['version']}; this script reads version 1")
        self.layout, self.size, self.unroll = plan["layout"], plan["size"], plan["unroll"]
        self.tokens, self.seed = plan["tokens"], plan["seed"]
        self.windows = (self.tokens - 1) // self.unroll
        self.stream_length = self.tokens // self.size
        self.epoch_steps = {
            "streams": (self.stream_length - 1) // self.unroll,
            "shuffled": self.windows // self.size,
            "sliding": self.tokens + 1 - self.size - self.unroll,
        }[self.layout]

    def epoch(self, step):
        return step // self.epoch_steps

    def resets_state(self, step):
        """Whether the hidden state is zeroed before `step`."""
        return self.layout == "shuffled" or step % self.epoch_steps == 0

    def offsets(self, step):
        """The corpus offset of each row's first input."""
        within = step % self.epoch_steps
        if self.layout == "streams":
            return [row * self.stream_length + within * self.unroll for row in range(self.size)]
        if self.layout == "sliding":
            return [within + row for row in range(self.size)]
        order = Stream(self.seed, f"shuffle epoch {self.epoch(step)}")
        return [self._shuffled(order, within * self.size + row) * self.unroll for row in range(self.size)]

    def _shuffled(self, order, place):
        """A permutation of all windows: four Feistel rounds, repeated until the result is in range."""
        half = max(-(-(self.windows - 1).bit_length() // 2), 1)
        mask = (1 << half) - 1
        while True:
            left, right = place >> half, place & mask
            for turn in range(4):
                left, right = right, left ^ (order.bits((turn << 32) | right) & mask)
            place = (left << half) | right
            if place < self.windows:
                return place

    def batch(self, ids, step):
        """Inputs and targets [T, B]."""
        rows = numpy.stack([ids[at : at + self.unroll + 1] for at in self.offsets(step)], axis=1).astype(numpy.int64)
        return rows[:-1], rows[1:]


class Run:
    """One run of a record."""

    def __init__(self, db, run="latest", store=None):
        if not Path(db).is_file():
            sys.exit(f"error: {db}: no such database")
        self.base = sqlite3.connect(f"file:{Path(db).resolve()}?mode=ro", uri=True)
        self.base.row_factory = sqlite3.Row
        number = str(run).removeprefix("run")
        if number == "latest":
            (number,) = self.base.execute("SELECT max(id) FROM runs").fetchone()
        row = self.base.execute("SELECT run, experiment FROM run_summary WHERE run = ?", (number,)).fetchone()
        if row is None:
            sys.exit(f"error: {db}: no such run: {run}")
        self.number, self.experiment = row
        named = store or self.base.execute("SELECT value FROM meta WHERE key = 'store'").fetchone()[0]
        self.store = Path(named) if store else Path(db).resolve().parent / named
        self.params = dict(self.base.execute("SELECT name, value FROM run_params WHERE run = ?", (self.number,)).fetchall())

    def train(self, name, default=None):
        """A parameter of the table [train]."""
        return self.params.get(f"train.{name}", default)

    def object(self, stage, name):
        """The path of an output of a stage, such as ("train", "weights@0")."""
        query = "SELECT digest FROM run_lineage WHERE run = ? AND stage = ? AND name = ? AND direction = 'output'"
        row = self.base.execute(query, (self.number, stage, name)).fetchone()
        if row is None:
            sys.exit(f"error: run{self.number} has no output {name} of {stage}")
        digest = row[0]
        path = self.store / "sha256" / digest[:2] / digest[2:]
        if not path.is_file():
            sys.exit(
                f"error: {path}: {name} of run{self.number} is not in the store\nhint: pass --store FOLDER"
            )
        return path

    def ids(self, split):
        """The tokens of `train`, `valid` or `test`."""
        return numpy.fromfile(self.object("vocab", split), "<u4")

    def plan(self):
        return Plan(self.object("batch", "plan"))

    def steps(self, limit=None):
        """Rows of the view run_steps, in order."""
        query = "SELECT * FROM run_steps WHERE run = ? ORDER BY step LIMIT ?"
        return self.base.execute(query, (self.number, -1 if limit is None else limit)).fetchall()

    def length(self):
        """The number of steps that the training was asked for."""
        return self.base.execute("SELECT length FROM runs WHERE id = ?", (self.number,)).fetchone()[0]

    def looks(self):
        """Validation losses measured during training: {step: loss}."""
        query = "SELECT step, loss FROM run_evaluations WHERE run = ? AND source = 'train'"
        return dict(self.base.execute(query, (self.number,)).fetchall())


def add_arguments(parser):
    """Adds the arguments that name a run."""
    parser.add_argument("run", nargs="?", default="latest", help="run42, 42 or latest (default)")
    parser.add_argument("--db", default="experiments.db", help="the database (default: %(default)s)")
    parser.add_argument("--store", help="the object store (default: the one that the database names)")
