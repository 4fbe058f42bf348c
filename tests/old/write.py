#!/usr/bin/env python3
"""Writes a database as an older program left it, and what its views said, for the test `old`.

    tests/old/write.py PROGRAM

PROGRAM is the `pipeline` of an older commit, with its `pipeline-neural` beside it. The folder beside this file that is
named by its version of the schema gets `experiments.db.gz` and `views.jsonl`. Commands that it lacks are left out.
"""

import gzip
import json
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile

EXPERIMENT = """name = "old"
seed = 1
[corpus]
text = "data/sonnets.txt"
split = { valid = 0.01, test = 0.01 }
[vocab]
size = 100
[batch]
size = 2
unroll = 4
[train]
embedding = 4
hidden = 4
optimizer = "adam"
steps = 30
probes = 10
checkpoints = { every = 15, keep = "all" }
[evaluate]
[sample]
length = 6
decode = ["greedy", { temperature = 1.0 }]
[study]
"train.learning_rate" = [0.01, 1e38]
"""


HERE = pathlib.Path(__file__).resolve().parent


def main(program):
    program = pathlib.Path(program).resolve()
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        (place / "data").mkdir()
        shutil.copy(HERE.parents[1] / "data/sonnets.txt", place / "data")
        (place / "old.toml").write_text(EXPERIMENT)

        def pipeline(*words):
            return subprocess.run([program, *words], cwd=place, capture_output=True, text=True)

        known = pipeline("--help").stdout
        rate = ["--set", "train.learning_rate=0.02"]
        for words in [
            ["run", "old.toml", "--jobs", "1", "--threads", "1"],
            # A run that is not finished.
            ["run", "old.toml", "--threads", "1", "--until", "batch", *rate],
            ["fork", "run1", "--at", "15", "--threads", "1", *rate],
            ["diagnose", "run2"],
            ["compare", "run1", "run2"],
        ]:
            if f"  {words[0]} " in known:
                ended = pipeline(*words)
                if ended.returncode != 0:
                    sys.exit(f"{' '.join(words)}: {ended.stdout}{ended.stderr}")
        write(place / "experiments.db")


def write(database):
    # The log is folded in as the last connection closes.
    connection = sqlite3.connect(database)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    views = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY name")]
    lines = []
    for view in views:
        found = connection.execute(f"SELECT * FROM {view}")
        columns = [column[0] for column in found.description]
        rows = sorted(found.fetchall(), key=repr)
        lines.append(json.dumps({"view": view, "columns": columns, "rows": len(rows)}))
        lines.extend(json.dumps(row, default=lambda blob: {"blob": blob.hex()}) for row in rows)
    connection.close()
    folder = HERE / str(version)
    folder.mkdir(exist_ok=True)
    (folder / "views.jsonl").write_text("\n".join(lines) + "\n")
    with gzip.GzipFile(folder / "experiments.db.gz", "wb", compresslevel=9, mtime=0) as file:
        file.write(database.read_bytes())
    print(f"version {version}: {database.stat().st_size} bytes, {len(views)} views, {len(lines) - len(views)} rows")


if __name__ == "__main__":
    main(sys.argv[1])
