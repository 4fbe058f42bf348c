#!/usr/bin/env python3
"""Compares the verdicts of `pipeline diagnose` with the labels, and reports how often they agree.

    judge.py --folder /tmp/third --set third
    judge.py --folder /tmp/first --wrong --signals signals.tsv

The present rules were chosen on the first and the second set; the result that counts is that on the third.
"""

import argparse
import csv
import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

from sets import SETS

HERE = Path(__file__).resolve().parent
KINDS = ("data_fault", "diverged", "unstable", "too_low", "stable", "inconclusive")


def diagnose(pipeline, folder, runs):
    """The verdicts of some runs, with the signals that the rules read."""
    found = []
    for start in range(0, len(runs), 100):
        command = [pipeline, "diagnose", *runs[start : start + 100], "--json", "--db", "experiments.db"]
        told = json.loads(subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout)
        found += told["runs"]
    return found


def scores(pairs):
    """The scores of (label, verdict) pairs: {kind: (precision, recall, F1, labelled)} for each kind with a label."""
    found = {}
    for kind in KINDS:
        both = sum(label == verdict == kind for label, verdict in pairs)
        labelled = sum(label == kind for label, _ in pairs)
        said = sum(verdict == kind for _, verdict in pairs)
        if labelled:
            precision, recall = both / said if said else math.nan, both / labelled
            found[kind] = (precision, recall, 2 * both / (said + labelled), labelled)
    return found


def tell(title, rows):
    pairs = [(row["label"], row["verdict"]) for row in rows]
    print(f"### {title}: {len(rows)} runs\n")
    print("| labelled | " + " | ".join(f"said {kind}" for kind in KINDS) + " |\n| --- |" + " ---: |" * len(KINDS))
    for kind in KINDS[:-1]:
        counts = [sum(pair == (kind, said) for pair in pairs) for said in KINDS]
        print(f"| `{kind}` | " + " | ".join(str(count) if count else "" for count in counts) + " |")
    print("\n| | precision | recall | F1 | runs |\n| --- | ---: | ---: | ---: | ---: |")
    all_scores = scores(pairs)
    for kind, (precision, recall, f1, labelled) in all_scores.items():
        print(f"| `{kind}` | {precision:.3f} | {recall:.3f} | {f1:.3f} | {labelled} |")
    macro = statistics.mean(f1 for _, _, f1, _ in all_scores.values())
    print(f"\nmacro-F1 {macro:.3f}; stable called diverged {pairs.count(('stable', 'diverged'))}; "
          f"data faults missed {sum(label == 'data_fault' != verdict for label, verdict in pairs)}")
    errors = [abs(row["said_onset"] - row["onset"]) for row in rows if row["onset"] is not None and row["said_onset"] is not None]
    missing = sum(row["onset"] is not None and row["said_onset"] is None for row in rows)
    if errors:
        within = sum(error <= 5 for error in errors)
        print(f"onset: median error {statistics.median(errors):g} steps, {within} of {len(errors)} within 5, largest "
              f"{max(errors)}; {missing} without an onset")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    program = HERE.parents[1] / "target/release/pipeline"
    parser.add_argument("--folder", required=True, help="the folder in which make.py recorded the runs")
    parser.add_argument("--pipeline", default=str(program), help="the program (default: target/release/pipeline)")
    parser.add_argument("--set", choices=SETS, default="first", help="the set in that folder (default: %(default)s)")
    parser.add_argument("--wrong", action="store_true", help="list the runs whose verdict differs from their label")
    parser.add_argument("--signals", help="write the signals that the rules read to this file, as a table")
    arguments = parser.parse_args()
    with open(HERE / SETS[arguments.set].labels, encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    with open(Path(arguments.folder) / "runs.tsv", encoding="utf-8") as file:
        runs = {name: run for name, run, *_ in csv.reader(file, delimiter="\t")}
    pipeline = os.path.abspath(arguments.pipeline)
    for row, found in zip(rows, diagnose(pipeline, arguments.folder, [runs[row["name"]] for row in rows]), strict=True):
        judged = found["judged"]
        row["verdict"], row["said_onset"], row["found"] = judged["verdict"], judged["onset"], found
        row["onset"] = int(row["onset"]) if row["onset"].isdigit() else None
    if arguments.signals:
        flat = lambda table, prefix="": {
            key: value
            for name, inner in table.items()
            for key, value in (flat(inner, f"{prefix}{name}.") if isinstance(inner, dict) else {prefix + name: inner}).items()
        }
        lines = [{k: row[k] for k in ("name", "label", "verdict", "onset", "said_onset")} | flat(row["found"]["signals"]) for row in rows]
        columns = list(dict.fromkeys(key for line in lines for key in line))
        with open(arguments.signals, "w", encoding="utf-8") as out:
            writer = csv.DictWriter(out, columns, delimiter="\t")
            writer.writeheader(), writer.writerows(lines)
    tell(f"The {arguments.set} set", rows)
    if arguments.wrong:
        print()
        for row in rows:
            if row["label"] != row["verdict"]:
                print(f"{row['name']}: {row['label']}, said {row['verdict']}: {row['found']['judged']['sentence']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
