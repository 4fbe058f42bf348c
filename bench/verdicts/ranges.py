#!/usr/bin/env python3
"""Compares the limits that `pipeline lr-range` finds with those of the labelled grids (labels.tsv).

    ranges.py --folder /tmp/ranges                              # both corpora
    ranges.py --folder /tmp/ranges --only shakespeare --steps 200

A grid is one corpus, size, optimiser and clipping norm, at several rates. Its limit with one seed is the geometric mean
of the highest rate that is not labelled diverged and the next rate above; the grid's limit is the median over the
seeds. A grid in which no rate diverged, or every rate, has no limit to compare with. The test of a grid is one call of
lr-range with the set's seeds; its prediction is the median of the limits found, where a test whose loss never broke
away counts with its last rate. Prints log2(predicted / actual) for each grid, and how many grids and how many single
tests are within ± 1, a factor of two.
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
    """For each (corpus, size, optimiser, clipping norm), by seed and rate: (diverged, final validation loss)."""
    grids = {}
    with open(path) as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if not row["fault"]:
                grid = (row["corpus"], row["size"], row["optimizer"], float(row["clip_norm"]))
                rates = grids.setdefault(grid, {}).setdefault(int(row["seed"]), {})
                rates[float(row["learning_rate"])] = (row["label"] == "diverged", float(row["last_valid"]))
    return grids


def limits(grids):
    """The limit of each grid that has one: the median over its seeds."""
    found = {}
    for grid, seeds in grids.items():
        of_seeds = [limit for rates in seeds.values() if (limit := bracket(rates)) is not None]
        if of_seeds:
            found[grid] = statistics.median(of_seeds)
    return found


def bracket(rates):
    """The geometric mean of the highest rate that did not diverge and the next above; None without either."""
    sound = [rate for rate, (diverged, _) in rates.items() if not diverged]
    if not sound:
        return None
    above = [rate for rate in rates if rate > max(sound)]
    return math.sqrt(max(sound) * min(above)) if above else None


def above_best(losses, rate):
    """How far the loss at a rate is above the grid's best, interpolated between the grid's rates. `losses` is by rate."""
    rates = sorted(losses)
    best, rate = min(losses.values()), min(max(rate, rates[0]), rates[-1])
    low, high = next(pair for pair in zip(rates, rates[1:]) if pair[0] <= rate <= pair[1])
    share = math.log(rate / low) / math.log(high / low)
    return losses[low] * (1 - share) + losses[high] * share - best


def predict(arguments, folder, name, text):
    """(limit, suggestion) that lr-range finds with each seed; the limit is the last rate if it found none."""
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
    program, ptb = make.ROOT / "target/release/pipeline", make.ROOT / "data/ptb/ptb.train.txt"
    parser.add_argument("--folder", required=True, help="folder to record the tests in")
    parser.add_argument("--set", choices=SETS, default="first", help="the set of grids (default: %(default)s)")
    parser.add_argument("--labels", help="file of labels (default: the set's beside this script)")
    parser.add_argument("--pipeline", default=str(program), help="the program (default: target/release/pipeline)")
    parser.add_argument("--ptb", default=str(ptb), help="Penn Treebank (default: data/ptb/ptb.train.txt)")
    parser.add_argument("--words", type=int, default=400_000, help="words of each corpus to use (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="tests at a time (default: %(default)s)")
    parser.add_argument("--only", default="", help="only grids whose names start with this")
    arguments, arguments.further = parser.parse_known_args()
    arguments.pipeline = os.path.abspath(arguments.pipeline)
    folder = Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    seeds_of = read(arguments.labels or Path(__file__).with_name(SETS[arguments.set].labels))
    actual = limits(seeds_of)

    # The first training of each grid; lr-range overrides its rate and its seed.
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
        print(f"\n{corpus}: {sum(hits)} of {len(hits)} grids and {sum(tests)} of {len(tests)} single tests within ± 1")
    for what, of in (("medians over seeds", worth), ("single seeds", worth_alone)):
        if of:
            print(f"\nsuggestions, {what}: median {statistics.median(nats for nats, _ in of):.2f} "
                  f"nats above the grid's best, at most {max(of)[0]:.2f} ({max(of)[1]})")


if __name__ == "__main__":
    main()
