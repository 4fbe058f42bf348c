#!/usr/bin/env python3
"""Finds where the runs that make.py labelled `diverged` or `unstable` left, by forks, and writes it into labels.tsv.

    onsets.py --folder /tmp/first                   # gone on with when started again

The onset of a run is the last state before its rise from which a tenth of the rate still regains what the run had reached.
To regain, from state s: of a fork at s with a tenth of the rate, trained AHEAD steps, the mean loss of the last LAST is at
most MARGIN above the lowest mean of TEN steps in a row that the run had before s (of fewer, where there are fewer; at 0: the
first loss). It must be soon: some hundred steps on, a run that exploded has recovered after all.

The rise is where the mean loss of the next LAST steps first stands half as high above that lowest mean as it ever does, or is
not finite. States before it are tried by halving; state 0 is not tried, it regains itself. Where that mean never stands
ROSE above the lowest, there is no onset, and the column says `none`.
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
    """The state at which the loss has risen half as high as it ever does; None where it never rises."""
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
        # Looks and probes cost time and change no number; a look that never comes is none.
        sets = {"learning_rate": rate / 10, "steps": state + steps, "probes": 0, "early_stopping.every": 1 << 30}
        command = [self.pipeline, "fork", f"run{run}", "--at", str(state), "--until", "train", "--threads", "1", "--jobs", "1"]
        command += ["--db", "experiments.db"] + [word for key, value in sets.items() for word in ("--set", f"train.{key}={value!r}")]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"run{run} at {state}: {done.stderr.strip().splitlines()[-1]}")
        return make.losses(self.folder, make.named(done.stdout))[state:]

    def onset(self, run, rate):
        """The onset of a run, or None where it never rose."""
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
    parser.add_argument("--folder", required=True, help="what make.py was given")
    parser.add_argument("--pipeline", default=str(make.ROOT / "target/release/pipeline"), help="(default: target/release/pipeline)")
    parser.add_argument("--set", choices=SETS, default="first", help="which set that is (default: %(default)s)")
    parser.add_argument("--labels", help="(default: the set's labels beside this script)")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=math.inf, help="begin no further run after so long (default: never)")
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
