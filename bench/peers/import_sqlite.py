#!/usr/bin/env python3
"""Imports steps from CSV into the same table with sqlite3's .import, and prints rows per second as one line of JSON.

    import_sqlite.py steps.csv --like steps.db

The table's definition is that of the database that `bench/steps.rs` made; journal mode and syncing are those of
`pipeline` (WAL, NORMAL). The time is that of the whole process, including closing the database.
"""

import argparse
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", help="rows in the order of the table's columns, without a header")
    parser.add_argument("--like", required=True, help="a database whose table definitions are used")
    arguments = parser.parse_args()
    if shutil.which("sqlite3") is None:
        sys.exit("error: sqlite3 was not found")
    query = "SELECT sql FROM sqlite_schema WHERE name IN ('trajectories', 'steps') ORDER BY name = 'steps'"
    tables = sqlite3.connect(f"file:{arguments.like}?mode=ro", uri=True).execute(query).fetchall()
    if len(tables) != 2:
        sys.exit(f"error: {arguments.like}: has no table of steps")
    script = ["PRAGMA journal_mode = WAL;", "PRAGMA synchronous = NORMAL;", *(f"{sql};" for (sql,) in tables)]
    script.append(f'.import --csv "{arguments.csv}" steps')
    with tempfile.TemporaryDirectory(prefix="import-") as scratch:
        begun = time.perf_counter()
        command = ["sqlite3", f"{scratch}/steps.db"]
        subprocess.run(command, input="\n".join(script), stdout=subprocess.DEVNULL, text=True, check=True)
        seconds = time.perf_counter() - begun
        (rows,) = sqlite3.connect(f"{scratch}/steps.db").execute("SELECT count(*) FROM steps").fetchone()
    print(json.dumps({"what": "steps imported by sqlite3", "value": rows / seconds, "unit": "rows/s", "rows": rows}))


if __name__ == "__main__":
    main()
