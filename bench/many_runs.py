"""Measures the commands that read a record of many runs: wall time of the first process, and the median of several.

    python3 bench/many_runs.py                    # --runs, --rounds, --keep FOLDER, --pipeline PROGRAM

Runs experiments/tiny.toml at four learning rates in a temporary folder, and copies those runs in SQL until the record
has --runs of them: two fifths in the study `many`, the others in the study `rest`. Each copy has its own seed,
trajectory, executions, steps and blocks; the objects are shared. The first process of a command also judges the runs.
"""

import argparse
import hashlib
import json
import os
import sqlite3
import statistics
import struct
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RATES = [0.01, 0.1, 1.0, 30.0]


class Copier:
    """Copies runs within a record."""

    def __init__(self, db):
        self.db = db
        self.next = {name: db.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {name}").fetchone()[0]
                     for name in ["runs", "trajectories", "executions", "evaluations", "events"]}

    def take(self, table):
        self.next[table] += 1
        return self.next[table] - 1

    def copy(self, table, where, **own):
        """Copies rows of a table; `own` is SQL for the columns that differ."""
        columns = [row[1] for row in self.db.execute(f"PRAGMA table_info({table})")]
        chosen = ", ".join(str(own.get(column, column)) for column in columns)
        self.db.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} FROM {table} WHERE {where}")

    def run(self, template, seed):
        """Inserts a run like `template` with another seed."""
        run, trajectory = self.take("runs"), self.take("trajectories")
        (old,) = self.db.execute("SELECT trajectory_id FROM runs WHERE id = ?", (template,)).fetchone()
        identity = hashlib.sha256(f"copy {run}".encode()).hexdigest()
        self.copy("trajectories", f"id = {old}", id=trajectory, identity=f"'{identity}'")
        self.copy("runs", f"id = {template}", id=run, uid=f"'copy-{run}'", run_key=f"'{identity}'", seed=seed,
                  trajectory_id=trajectory, point=f"json_set(point, '$.seed', {seed})")
        self.copy("params", f"run_id = {template}", run_id=run, value=f"CASE name WHEN 'seed' THEN {seed} ELSE value END")
        rows = self.db.execute("SELECT rs.stage, rs.item, rs.step, rs.execution_id FROM run_stages rs WHERE run_id = ?",
                               (template,)).fetchall()
        for stage, item, step, execution in rows:
            how = "cached"
            if stage in ("train", "evaluate", "sample"):
                made, how = self.take("executions"), "executed"
                key = hashlib.sha256(f"key {made}".encode()).hexdigest()
                self.copy("executions", f"id = {execution}", id=made, uid=f"'copy-{made}'", stage_key=f"'{key}'",
                          trajectory_id=trajectory if stage == "train" else "NULL")
                self.db.execute("INSERT INTO results VALUES (?, ?)", (key, made))
                for table in ["execution_inputs", "execution_outputs", "samples"]:
                    self.copy(table, f"execution_id = {execution}", execution_id=made)
                for (row,) in self.db.execute("SELECT id FROM evaluations WHERE execution_id = ?", (execution,)).fetchall():
                    self.copy("evaluations", f"id = {row}", id=self.take("evaluations"), execution_id=made)
                if stage == "train":
                    self.copy("checkpoints", f"trajectory_id = {old}", trajectory_id=trajectory, execution_id=made)
                execution = made
            self.db.execute("INSERT INTO run_stages VALUES (?, ?, ?, ?, ?, ?)", (run, stage, item, step, execution, how))
        for (row,) in self.db.execute("SELECT id FROM events WHERE trajectory_id = ?", (old,)).fetchall():
            self.copy("events", f"id = {row}", id=self.take("events"), trajectory_id=trajectory, execution_id="NULL")
        self.steps(old, trajectory, 1 + seed * 1e-9)
        return run

    def steps(self, old, trajectory, factor):
        self.copy("steps", f"trajectory_id = {old}", trajectory_id=trajectory, loss=f"loss * {factor!r}")
        chain, blocks = bytes(32), {}
        for step, loss, kind, tokens in self.db.execute(
                "SELECT step, loss, loss_kind, tokens FROM steps WHERE trajectory_id = ? ORDER BY step", (trajectory,)):
            number = float(kind) if loss is None else loss
            block = blocks.setdefault(step // 1024, [0, 0, None, None, 0.0, None, 0, b""])
            block[0] += 1
            block[6] += tokens
            if loss is None:
                block[5] = step if block[5] is None else block[5]
            else:
                block[1] += 1
                block[2] = loss if block[2] is None else min(block[2], loss)
                block[3] = loss if block[3] is None else max(block[3], loss)
                block[4] += loss
            chain = block[7] = hashlib.sha256(chain + struct.pack("<d", number)).digest()
        self.db.executemany("INSERT INTO step_blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
                            [(trajectory, number, *block, number * 1024 + block[0] - 1) for number, block in blocks.items()])


def fill(path, runs):
    """Copies runs until there are `runs` of them."""
    db = sqlite3.connect(path)
    copier = Copier(db)
    templates = [row[0] for row in db.execute("SELECT id FROM runs ORDER BY id")]
    made = list(templates)
    while len(made) < runs:
        made.append(copier.run(templates[len(made) % len(templates)], 1000 + len(made)))
    (experiment,) = db.execute("SELECT experiment_id FROM studies LIMIT 1").fetchone()
    first = runs * 2 // 5
    for name, part in [("many", made[:first]), ("rest", made[first:])]:
        (study,) = db.execute("INSERT INTO studies (experiment_id, name, points, created_at) "
                              "VALUES (?, ?, ?, '2026-01-01T00:00:00.000Z') RETURNING id",
                              (experiment, name, len(part))).fetchone()
        for place, run in enumerate(part):
            rate, seed = db.execute("SELECT (SELECT value FROM params WHERE run_id = r.id AND name = 'train.learning_rate'), "
                                    "seed FROM runs r WHERE id = ?", (run,)).fetchone()
            point = json.dumps({"train.learning_rate": rate, "seed": seed})
            db.execute("INSERT INTO study_runs VALUES (?, ?, ?, ?)", (study, place, run, point))
    db.commit()
    db.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pipeline", default=ROOT / "target/release/pipeline")
    parser.add_argument("--keep", type=Path, help="keep the record in this folder and reuse it")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = args.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "experiments.db"

        def pipeline(*words):
            environment = {**os.environ, "COMPLETE": ""}
            return subprocess.run([args.pipeline, "--db", path, *words], cwd=ROOT, check=True, capture_output=True,
                                  env=environment)

        if not path.exists():
            rates = ", ".join(map(str, RATES))
            pipeline("run", "experiments/tiny.toml", "--set", f"train.learning_rate=[{rates}]")
            fill(path, args.runs)
        study = f"study:many ({args.runs * 2 // 5:,} runs)"
        commands = [
            (f"runs ({args.runs:,} runs)", ["runs"]),
            ("show run7", ["show", "run7"]),
            (f"compare {study}", ["compare", "study:many"]),
            (f"plot {study}", ["plot", "study:many", "-o", folder / "plot.svg"]),
            (f"report {study}", ["report", "study:many", "-o", folder / "report.html"]),
            (f"diagnose {study}", ["diagnose", "study:many"]),
            ("sql: runs by verdict", ["sql", "SELECT verdict, count(*) FROM run_summary GROUP BY 1"]),
            ("objects size", ["objects", "size"]),
            ("objects gc --dry-run", ["objects", "gc", "--dry-run"]),
            ("run, all cached", ["run", "experiments/tiny.toml", "--set", "train.learning_rate=0.01"]),
        ]
        print(f"| {args.runs:,} runs | first, s | median, s |\n| --- | ---: | ---: |")
        for what, words in commands:
            times = []
            for _ in range(args.rounds + 1):
                begun = time.perf_counter()
                pipeline(*words)
                times.append(time.perf_counter() - begun)
            print(f"| {what} | {times[0]:.3f} | {statistics.median(times[1:]):.3f} |", flush=True)


if __name__ == "__main__":
    main()
