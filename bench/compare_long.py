"""Measures `pipeline compare` of two trainings of a million steps: the median wall time of several processes.

    python3 bench/compare_long.py                 # --steps, --rounds, --keep FOLDER

Runs experiments/tiny.toml for a few steps in a temporary folder, then inserts long trainings into the record in SQL, as
the program would have written them: steps, probes every ten steps, and blocks with their chains. There are three pairs:
one that differs early and stays within noise (no step ends the search), one that leaves the noise late, and one that is
identical up to its last step. A first call, which also makes the verdicts, is reported separately.
"""

import argparse
import hashlib
import json
import random
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = 1024


def losses(kind, steps):
    """A falling loss with noise that all trainings share (hard and easy batches) and noise of its own."""
    common, own = random.Random(1), random.Random(kind)
    for step in range(steps):
        loss = 4.0 + 3.0 / (1.0 + step / 2000) + common.gauss(0.0, 0.12)
        if kind == "within" or kind == "late":
            loss += own.gauss(0.0, 0.02)
        if kind == "late" and step == steps * 7 // 10:
            loss += 6.0
        if kind == "late" and step >= steps * 8 // 10:
            loss += 0.4
        if kind == "last" and step == steps - 1:
            loss += 1e-9
        yield loss


def insert(db, run, kind, steps, rate):
    """Inserts a run like run1 with another learning rate and length."""
    columns = [row[1] for row in db.execute("PRAGMA table_info(runs)")]
    own = {"id": run, "uid": f"'long-{run}'", "run_key": f"'long-{run}'", "trajectory_id": run, "length": steps,
           "steps": steps, "seconds": steps * 0.01}
    chosen = ", ".join(str(own.get(column, column)) for column in columns)
    db.execute("INSERT INTO trajectories (id, identity, fields, threads, cpu_capability, created_at) "
               "SELECT ?, ?, fields, threads, cpu_capability, created_at FROM trajectories LIMIT 1", (run, f"long-{run}"))
    db.execute(f"INSERT INTO runs ({', '.join(columns)}) SELECT {chosen} FROM runs WHERE id = 1")
    db.execute("INSERT INTO params SELECT ?, name, CASE name WHEN 'train.learning_rate' THEN ? WHEN 'train.steps' THEN ? "
               "ELSE value END FROM params WHERE run_id = 1", (run, rate, steps))
    db.execute("INSERT INTO run_stages SELECT ?, stage, item, step, execution_id, how FROM run_stages WHERE run_id = 1",
               (run,))
    chain, blocks, rows = bytes(32), [], []
    statement = ("INSERT INTO steps (trajectory_id, step, epoch, loss, loss_kind, learning_rate, grad_norm, clipped, "
                 "update_ratio, logit_max, entropy, overshoot, sharpness, tokens, seconds) "
                 "VALUES (?, ?, ?, ?, 'finite', ?, ?, 0, ?, ?, ?, ?, ?, 160, 0.01)")
    for step, loss in enumerate(losses(kind, steps)):
        probed = (0.001, 3.0 + step / steps, 4.0, 0.9, 1.5) if step % 10 == 0 else (None,) * 5
        rows.append((run, step, step // 121, loss, rate, 0.5 + loss / 10, *probed))
        chain = hashlib.sha256(chain + struct.pack("<d", loss)).digest()
        if len(rows) == BLOCK or step + 1 == steps:
            found = [row[3] for row in rows]
            blocks.append((run, step // BLOCK, len(rows), len(rows), min(found), max(found), sum(found), None,
                           160 * len(rows), chain, step))
            db.executemany(statement, rows)
            rows = []
    db.executemany("INSERT INTO step_blocks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)", blocks)
    db.commit()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--pipeline", default=ROOT / "target/release/pipeline")
    parser.add_argument("--keep", type=Path, help="keep the database in this folder and reuse it")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = args.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "experiments.db"

        def pipeline(*words):
            return subprocess.run([args.pipeline, "--db", path, *words], cwd=ROOT, check=True, capture_output=True, text=True)

        if not path.exists():
            pipeline("run", "experiments/tiny.toml", "--set", "train.learning_rate=0.01", "--set", "train.steps=40")
            with sqlite3.connect(path) as db:
                for run, kind, rate in [(11, "plain", 0.01), (12, "within", 0.011), (13, "late", 0.012), (14, "last", 0.013)]:
                    insert(db, run, kind, args.steps, rate)
                    print(f"run{run}: {args.steps:,} steps", file=sys.stderr)
        pairs = [("within noise", 11, 12), ("beyond noise late", 11, 13), ("differs at the last step", 11, 14)]
        for what, a, b in pairs:
            begun = time.perf_counter()
            screen = pipeline("compare", f"run{a}", f"run{b}").stdout
            first = time.perf_counter() - begun
            times = []
            for _ in range(args.rounds):
                begun = time.perf_counter()
                pipeline("compare", f"run{a}", f"run{b}")
                times.append((time.perf_counter() - begun) * 1000)
            print(json.dumps({"what": f"compare, {args.steps:,} steps each: {what}", "unit": "ms", "first": round(first * 1000),
                              "median": round(statistics.median(times), 1), "least": round(min(times), 1),
                              "most": round(max(times), 1)}))
            said = [line for line in screen.splitlines() if "identical" in line or "noise" in line]
            print("\n".join(said), file=sys.stderr)


if __name__ == "__main__":
    main()
