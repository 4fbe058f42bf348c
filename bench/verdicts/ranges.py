#!/usr/bin/env python3
"""Holds the limits that `pipeline lr-range` finds against those of the labelled grids (labels.tsv).

    ranges.py --folder /tmp/ranges                              # both corpora
    ranges.py --folder /tmp/ranges --only shakespeare --steps 200

A grid is one corpus, size, optimiser and clipping norm, at several rates. Its limit, with one seed, is the geometric mean of
the highest rate that is not labelled diverged and the next above it, which is; the grid's is the median over the seeds. A
grid in which none diverged, or all, has no limit to be held against. The test of a grid is one call of lr-range with its
three seeds; what it predicts is the median of the limits it finds, or the last rate where it never broke. Printed are
log2(predicted / actual) of each grid, and how many are within ± 1, which is a factor of two, of grids and of single tests.
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

import make
from sets import SETS


def read(path):
    """Of each (corpus, size, optimiser, clipping norm), by seed and rate: whether it diverged, and its valid loss in the end."""
    grids = {}
    with open(path) as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if not row["fault"]:
                grid = (row["corpus"], row["size"], row["optimizer"], float(row["clip_norm"]))
                rates = grids.setdefault(grid, {}).setdefault(int(row["seed"]), {})
                rates[float(row["learning_rate"])] = (row["label"] == "diverged", float(row["last_valid"]))
    return grids


def limits(grids):
    """The actual limit of each grid that has one: the median over its seeds."""
    found = {}
    for grid, seeds in grids.items():
        of_seeds = [limit for rates in seeds.values() if (limit := bracket(rates)) is not None]
        if of_seeds:
            found[grid] = statistics.median(of_seeds)
    return found


def bracket(rates):
    """The middle between the highest rate that is not diverged and the next above; None without either."""
    sound = [rate for rate, (diverged, _) in rates.items() if not diverged]
    if not sound:
        return None
    above = [rate for rate in rates if rate > max(sound)]
    return math.sqrt(max(sound) * min(above)) if above else None


def above_best(losses, rate):
    """What the loss at a rate, read off between those of a grid, lies above the least of them. Losses by rate."""
    rates = sorted(losses)
    best, rate = min(losses.values()), min(max(rate, rates[0]), rates[-1])
    low, high = next(pair for pair in zip(rates, rates[1:]) if pair[0] <= rate <= pair[1])
    share = math.log(rate / low) / math.log(high / low)
    return losses[low] * (1 - share) + losses[high] * share - best


def predict(arguments, folder, name, text):
    """(limit, suggestion) that lr-range finds with each seed; the last rate for a limit where it found none."""
    path = folder / (name.replace("/", "_") + "_range.toml")
    path.write_text(text)
    command = [arguments.pipeline, "lr-range", path.name, "--db", "ranges.db", "--json", "--jobs", str(arguments.jobs)]
    command += ["--threads", "1", "--set", f"seed={list(SETS[arguments.set].seeds)}", *arguments.further]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{path}: {done.stderr.strip()[-300:]}")
    return [(test["limit"] or test["to"], test["suggestion"]) for test in json.loads(done.stdout)["tests"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True, help="where the tests are recorded")
    parser.add_argument("--set", choices=SETS, default="first", help="whose grids (default: %(default)s)")
    parser.add_argument("--labels", help="(default: the set's, beside this script)")
    parser.add_argument("--pipeline", default=str(make.ROOT / "target/release/pipeline"), help="(default: target/release/pipeline)")
    parser.add_argument("--ptb", default=str(make.ROOT / "data/ptb/ptb.train.txt"), help="(default: data/ptb/ptb.train.txt)")
    parser.add_argument("--words", type=int, default=400_000, help="of each corpus (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="tests side by side (default: %(default)s)")
    parser.add_argument("--only", default="", help="grids whose names begin so")
    arguments, arguments.further = parser.parse_known_args()
    arguments.pipeline = os.path.abspath(arguments.pipeline)
    folder = Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    seeds_of = read(arguments.labels or Path(__file__).with_name(SETS[arguments.set].labels))
    actual = limits(seeds_of)

    # Of a grid's trainings the first: its rate and its seed are put aside.
    grids = {}
    for name, facts, text in make.experiments(SETS[arguments.set], make.corpora(folder, arguments)):
        if not facts["fault"] and name.startswith(arguments.only):
            grid = (facts["corpus"], facts["size"], facts["optimizer"], facts["clip_norm"])
            grids.setdefault(grid, ("/".join(name.split("/")[:3]), text))
    lines, within, alone, worth, worth_alone = ["| grid | actual | found, by seed | predicted | log2 |", "| --- | --- | --- | --- | --- |"], {}, {}, [], []
    for grid, (name, text) in grids.items():
        found, suggested = zip(*predict(arguments, folder, name, text))
        predicted = statistics.median(found)
        by_seed = ", ".join(f"{limit:.3g}" for limit in found)
        if grid not in actual:
            lines.append(f"| {name} | none within the grid | {by_seed} | {predicted:.3g} | |")
            continue
        off = math.log2(predicted / actual[grid])
        seeds = seeds_of[grid]
        if None not in suggested:
            middle = {rate: statistics.median(of[rate][1] for of in seeds.values()) for rate in min(seeds.values(), key=len)}
            worth.append((above_best(middle, statistics.median(suggested)), name))
            for seed, rate in zip(SETS[arguments.set].seeds, suggested):
                worth_alone.append((above_best({at: loss for at, (_, loss) in seeds[seed].items()}, rate), f"{name}/{seed}"))
        within.setdefault(grid[0], []).append(abs(off) <= 1)
        alone.setdefault(grid[0], []).extend(abs(math.log2(limit / actual[grid])) <= 1 for limit in found)
        lines.append(f"| {name} | {actual[grid]:.3g} | {by_seed} | {predicted:.3g} | {off:+.2f} |")
    print("\n".join(lines))
    for corpus, hits in within.items():
        tests = alone[corpus]
        print(f"\n{corpus}: {sum(hits)} of {len(hits)} grids within ± 1, {sum(tests)} of {len(tests)} tests with one seed")
    for what, of in (("medians of seeds", worth), ("with one seed", worth_alone)):
        if of:
            print(f"\nsuggestions, {what}: {statistics.median(nats for nats, _ in of):.2f} "
                  f"nats above the grid's best in the median, at most {max(of)[0]:.2f} ({max(of)[1]})")


if __name__ == "__main__":
    main()
