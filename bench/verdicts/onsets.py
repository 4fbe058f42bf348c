#!/usr/bin/env python3
"""Finds the onset of the runs that make.py labelled `diverged` or `unstable`, by forks, and writes it into labels.tsv.

    onsets.py --folder /tmp/first                   # continues when started again

The onset of a run is the last state before its rise from which a tenth of the rate still regains what the run had
reached. A fork at state s with a tenth of the rate, trained for AHEAD steps, regains it if the mean of its last LAST
losses is at most MARGIN above the lowest mean of TEN consecutive losses that the run had before s (of fewer if there
are fewer; at 0, the first loss). AHEAD is small because within some hundred steps even an exploded run may recover.

The rise is the state at which the mean of the next LAST losses is first half as far above that lowest mean as it ever
gets, or not finite. States before it are searched by bisection, assuming that state 0 regains. If the mean never gets
ROSE above the lowest, there is no onset, and the column is `none`.
"""

import argparse
import math
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import make
from sets import SETS

AHEAD, MARGIN = 10, 0.2


def rise(of):
    """The state at which the loss has risen half as far as it ever does; None if it never rises."""
    rises = make.rises(of)
    if max(rises) < make.ROSE:
        return None
    return next(i for i, rise in enumerate(rises) if rise == math.inf or rise >= max(rises) / 2)


class Forks:
    """Forks of the runs of a folder."""

    def __init__(self, arguments):
        self.pipeline, self.folder = os.path.abspath(arguments.pipeline), Path(arguments.folder)

    def ahead(self, run, rate, state, steps=AHEAD):
        """The losses of a fork at a tenth of the rate."""
        # Looks and probes take time and change no number: probes are off, and looks come after the end.
        sets = {"learning_rate": rate / 10, "steps": state + steps, "probes": 0, "early_stopping.every": 1 << 30}
        command = [self.pipeline, "fork", f"run{run}", "--at", str(state), "--until", "train", "--threads", "1", "--jobs", "1"]
        command += ["--db", "experiments.db"] + [word for key, value in sets.items() for word in ("--set", f"train.{key}={value!r}")]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"run{run} at {state}: {done.stderr.strip().splitlines()[-1]}")
        return make.losses(self.folder, make.named(done.stdout))[state:]

    def onset(self, run, rate):
        """The onset of a run, or None if its loss never rose."""
        of = make.losses(self.folder, run)
        before, low, high = make.lowest(of), 0, rise(of)
        if high is None:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            regained = make.mean(self.ahead(run, rate, middle)[-make.LAST:]) <= before[middle] + MARGIN
            low, high = (middle, high) if regained else (low, middle)
        return low


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    program = make.ROOT / "target/release/pipeline"
    parser.add_argument("--folder", required=True, help="the folder that make.py was given")
    parser.add_argument("--pipeline", default=str(program), help="the program (default: target/release/pipeline)")
    parser.add_argument("--set", choices=SETS, default="first", help="the set in that folder (default: %(default)s)")
    parser.add_argument("--labels", help="file of labels (default: the set's beside this script)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=math.inf, help="start no run after this time (default: no limit)"
    )
    arguments = parser.parse_args()
    begun, forks = time.monotonic(), Forks(arguments)
    labels = Path(arguments.labels or Path(__file__).with_name(SETS[arguments.set].labels))
    header, *rows = [line.split("\t") for line in labels.read_text().splitlines()]
    label, rate, onset = map(header.index, ("label", "learning_rate", "onset"))
    runs, there = make.runs(forks.folder), make.kept(forks.folder / "onsets.tsv")
    left = [row for row in rows if row[label] in make.LEFT]
    wanted = [row for row in left if row[0] not in there]
    made, writing = iter(range(1, len(wanted) + 1)), Lock()

    def find(row):
        if time.monotonic() - begun > arguments.seconds:
            return
        found = forks.onset(runs[row[0]][0], float(row[rate]))
        there[row[0]] = ["none" if found is None else str(found)]
        with writing, open(forks.folder / "onsets.tsv", "a") as kept:
            kept.write(f"{row[0]}\t{there[row[0]][0]}\n")
            print(f"{next(made)}/{len(wanted)} {row[0]}: {there[row[0]][0]}", file=sys.stderr)

    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(find, wanted))
    for row in left:
        row[onset] = there.get(row[0], [""])[0]
    labels.write_text("".join("\t".join(row) + "\n" for row in [header] + rows))


if __name__ == "__main__":
    main()
