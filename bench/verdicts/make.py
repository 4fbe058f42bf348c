#!/usr/bin/env python3
"""Makes the runs on which verdicts are evaluated, and labels them by their outcome.

    make.py --folder /tmp/first                     # the whole first set; writes labels.tsv beside this script
    make.py --folder /tmp/second --set second
    make.py --folder /tmp/first --only shakespeare/small --limit 10
    make.py --folder /tmp/third --set third --judged-only    # only the runs for judge.py, in a third of the time

A verdict judges a run of LENGTH steps. The run's label never comes from a rule of the program. It comes from what was
done to the run (its fault), from its losses, and from the held-out loss of the same training continued to three times
that length. The first that applies:

1. `data_fault`: the text or the order of its batches was corrupted.
2. `too_low`: the final loss is at least 0.3 nats worse than that of the same training at a higher rate of its grid, no
   worse than at any lower rate, and no worse than untrained (ln V).
3. `diverged`: the final validation loss is more than 0.02 nats above the unigram baseline (of train, scored on valid),
   or not finite. (Trainings that learn nothing else end at that baseline to the fourth digit.)
4. `unstable`: the training loss rose by 0.5 nats or more on the way: a mean of five steps above the lowest mean of ten
   before it. (Held-out losses, evaluated every 20 steps, miss short rises.) Recovered if the last ten steps are within
   0.05 nats of that lowest mean.
5. `stable`: none of these.

Runs come in grids (a corpus, a size, an optimiser with or without clipping, and its rates) and as faults, injected into
otherwise sound trainings. Each is made with every seed of its set. The folder has a record, a store and the results
(runs.tsv, onsets.tsv); when the script is started again, it continues from there. The column `onset` is set for
corrupted text, and for what onsets.py found.
"""

import argparse
import json
import math
import os
import random
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sets import DATA, SETS

ROOT = Path(__file__).resolve().parents[2]
LENGTH, CONTINUED, LOOKS = 300, 900, 20
# A rise: the mean of LAST losses is at least ROSE nats above the lowest mean of TEN before.
TEN, LAST, ROSE = 10, 5, 0.5
# Labels of runs whose onset onsets.py finds.
LEFT = ("diverged", "unstable")
# The steps whose words were replaced.
CORRUPTED = range(150, 160)

COLUMNS = ("name", "corpus", "size", "optimizer", "clip_norm", "learning_rate", "fault", "seed", "label", "recovered",
           "onset", "unigram", "lowest_valid", "last_valid", "lowest_valid_within", "last_valid_within")


def words(text):
    return [word for line in text.splitlines() for word in line.split() + ["<eos>"]]


def spoil(how, words, chosen):
    """The words of train, corrupted for a set's batches."""
    draw, unroll = random.Random(f"{how} 1"), chosen.unroll
    if how == "shuffled":  # In random order, only word frequencies can be learnt.
        words = list(words)
        draw.shuffle(words)
    elif how == "corrupted":  # In ten steps, every row reads words drawn uniformly from all types.
        types, words = sorted(set(words)), list(words)
        per_row = len(words) // chosen.rows
        for row in range(chosen.rows):
            begin = row * per_row + CORRUPTED.start * unroll
            for i in range(begin, begin + len(CORRUPTED) * unroll):
                words[i] = draw.choice(types)
    elif how == "tiny":  # A new epoch every few steps.
        words = words[: chosen.rows * unroll * 6]
    return words


def corpora(folder, arguments):
    """Writes train and valid of each corpus, words separated by spaces, with eos tokens; returns the corpora's names."""
    found = []
    for name, path in (("shakespeare", ROOT / "data/shakespeare.txt"), ("ptb", Path(arguments.ptb))):
        if not path.exists():
            print(f"{name}: {path} does not exist, skipped", file=sys.stderr)
            continue
        tokens = words(path.read_text(encoding="utf-8"))[: arguments.words]
        cut = int(len(tokens) * 0.99)
        for how in ("whole", "shuffled", "corrupted", "tiny"):
            for part, text in (("train", spoil(how, tokens[:cut], SETS[arguments.set])), ("valid", tokens[cut:])):
                (folder / f"{name}-{how}-{part}.txt").write_text(" ".join(text) + "\n", encoding="utf-8")
        found.append(name)
    return found


def toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(one)}" for key, one in value.items()) + " }"
    return json.dumps(value)


def experiments(chosen, names):
    """Every training of a set: (name, its columns, its experiment without the length)."""
    for corpus in names:
        for size, shape in chosen.sizes.items():
            whole = [
                (f"{optimizer}{'-clipped' if clip else ''}", None, {"optimizer": optimizer, "clip_norm": clip}, rates, {})
                for (optimizer, clip), rates in chosen.grids[size].items()
            ]
            for fault, spoilt in chosen.faults.items():
                table = {key: spoilt.get(key, 0.0) for key in ("optimizer", "clip_norm")} | spoilt.get("train", {})
                whole.append((fault, fault, table, (spoilt["learning_rate"],), spoilt))
            for group, fault, table, rates, spoilt in whole:
                for rate in rates:
                    for seed in chosen.seeds:
                        text = spoilt.get("text", "whole")
                        train = shape | table | {"learning_rate": rate, "probes": chosen.probes, "on_nonfinite": "continue"}
                        train |= {"checkpoints": {"every": 0}, "early_stopping": {"every": LOOKS, "patience": 1 << 20}}
                        batch = {"size": chosen.rows, "unroll": chosen.unroll} | spoilt.get("batch", {})
                        facts = {"corpus": corpus, "size": size, "optimizer": table["optimizer"], "fault": fault or "",
                                 "clip_norm": table["clip_norm"], "learning_rate": rate, "seed": seed, "group": group}
                        lines = [f'name = "verdicts"', f"seed = {seed}", "[corpus]"]
                        lines += [f'{part} = "{corpus}-{text}-{part}.txt"' for part in ("train", "valid")]
                        lines += ["[tokenize]", 'unit = "whitespace"', 'eos = ""', "[vocab]", f"size = {chosen.types}", "[batch]"]
                        lines += [f"{key} = {toml(value)}" for key, value in batch.items()]
                        lines += ["[train]"] + [f"{key} = {toml(value)}" for key, value in train.items()]
                        lines += ["[evaluate]", 'valid = "last"', "[sample]", 'at = "last"', "length = 60"]
                        yield f"{corpus}/{size}/{group}/{rate:g}/{seed}", facts, "\n".join(lines) + "\n"


def ask(folder, query, *values):
    return sqlite3.connect(f"file:{folder}/experiments.db?mode=ro", uri=True).execute(query, values).fetchall()


def run(arguments, folder, path, steps):
    """Runs an experiment to `steps` and returns the run's number."""
    command = [arguments.pipeline, "run", path.name, "--db", "experiments.db", "--threads", "1", "--jobs", "1"]
    done = subprocess.run(command + ["--set", f"train.steps={steps}"], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{path}: {done.stderr.strip()[-200:]}")
    return named(done.stdout)


def named(stdout):
    """The number of the run that `pipeline` printed."""
    for line in stdout.splitlines():
        if line.startswith("run") and line.split()[0][3:].isdigit():
            return int(line.split()[0][3:])
    raise RuntimeError(f"no run number in {stdout!r}")


def kept(path):
    """The results of an earlier start, by the training's name."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {name: rest for name, *rest in (line.split("\t") for line in lines)}


def runs(folder):
    """The existing runs of LENGTH and of CONTINUED steps, by their training's name; None if it was never continued."""
    numbers = {name: [int(run) for run in made] for name, made in kept(folder / "runs.tsv").items()}
    return {name: (made + [None])[:2] for name, made in numbers.items()}


def curve(folder, run):
    """Validation losses by step, as measured during training; inf for those that are not finite."""
    query = "SELECT step, loss FROM run_evaluations WHERE run = ? AND split = 'valid' AND source = 'train' ORDER BY step"
    rows = ask(folder, query, run)
    return [(step, math.inf if loss is None else loss) for step, loss in rows]


def baselines(folder, run):
    """The validation losses of the uniform and the unigram baseline."""
    query = "SELECT model, loss FROM run_baselines WHERE run = ? AND split = 'valid' AND model IN ('uniform', 'unigram')"
    return dict(ask(folder, query, run))


def losses(folder, run):
    """Training losses by step; inf for those that are not finite."""
    rows = ask(folder, "SELECT loss FROM run_steps WHERE run = ? ORDER BY step", run)
    return [math.inf if loss is None else loss for (loss,) in rows]


def mean(of):
    return sum(of) / len(of)


def lowest(of):
    """For each state, the lowest mean of TEN consecutive training losses before it, or of all if there are fewer."""
    found = [of[0]]
    for state in range(1, len(of) + 1):
        found.append(min(found[-1], mean(of[max(0, state - TEN) : state])))
    return found


def rises(of):
    """For each state, how far the mean of the next LAST training losses is above that lowest mean."""
    return [mean(of[i : i + LAST]) - before for i, before in enumerate(lowest(of)[: len(of) - LAST + 1])]


def label(found, grid):
    """The label of a training in its grid: (label, whether it recovered)."""
    if found["fault"] in DATA:
        return "data_fault", ""
    beside = lambda higher: [one["last_valid"] for one in grid if (one["learning_rate"] - found["learning_rate"]) * higher > 0]
    best, lower = min(beside(1), default=math.inf), min(beside(-1), default=math.inf)
    if best + 0.3 <= found["last_valid"] <= min(found["uniform"], lower):
        return "too_low", ""
    if not found["last_valid"] <= found["unigram"] + 0.02:
        return "diverged", ""
    risen = rises(found["losses"])
    if max(risen) >= ROSE:
        before = lowest(found["losses"])[risen.index(max(risen))]
        return "unstable", int(mean(found["losses"][-TEN:]) <= before + 0.05)
    return "stable", ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    program, ptb = ROOT / "target/release/pipeline", ROOT / "data/ptb/ptb.train.txt"
    parser.add_argument("--folder", required=True, help="folder to record the runs in")
    parser.add_argument("--set", choices=SETS, default="first", help="the set to make (default: %(default)s)")
    parser.add_argument("--pipeline", default=str(program), help="the program (default: target/release/pipeline)")
    parser.add_argument("--ptb", default=str(ptb), help="Penn Treebank (default: data/ptb/ptb.train.txt)")
    parser.add_argument("--words", type=int, default=400_000, help="words of each corpus to use (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time (default: %(default)s)")
    parser.add_argument("--only", default="", help="only trainings whose names start with this")
    parser.add_argument("--limit", type=int, help="maximum number of trainings")
    parser.add_argument(
        "--seconds", type=float, default=math.inf, help="start no training after this time (default: no limit)"
    )
    parser.add_argument(
        "--judged-only", action="store_true", help=f"train only the {LENGTH} steps that are judged, and write no labels"
    )
    parser.add_argument(
        "-o", "--output", help="file for the labels (default: the set's beside this script; none with --only or --limit)"
    )
    arguments, begun = parser.parse_args(), time.monotonic()
    arguments.pipeline = os.path.abspath(arguments.pipeline)
    folder = Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [one for one in experiments(SETS[arguments.set], corpora(folder, arguments)) if one[0].startswith(arguments.only)][: arguments.limit]
    made, there, onsets = iter(range(1, len(chosen) + 1)), runs(folder), kept(folder / "onsets.tsv")

    def make(one):
        name, facts, text = one
        path = folder / (name.replace("/", "_") + ".toml")
        path.write_text(text)
        short, long = there.get(name, (None, None))
        if short is None or (long is None and not arguments.judged_only):
            if time.monotonic() - begun > arguments.seconds:
                return None
            short = short or run(arguments, folder, path, LENGTH)
            long = None if arguments.judged_only else run(arguments, folder, path, CONTINUED)
            numbers = [str(number) for number in (short, long) if number]
            with open(folder / "runs.tsv", "a") as file:  # A single write: threads append whole lines.
                file.write("\t".join([name, *numbers]) + "\n")
        within = [loss for _, loss in curve(folder, short)]
        if arguments.judged_only:
            print(f"{next(made)}/{len(chosen)} {name}: valid {within[-1]:.3f} at {LENGTH}", file=sys.stderr)
            return facts
        valid = [loss for _, loss in curve(folder, long)]
        print(f"{next(made)}/{len(chosen)} {name}: valid {within[-1]:.3f} at {LENGTH}, {valid[-1]:.3f} at {CONTINUED}",
              file=sys.stderr)
        return facts | {
            "name": name, "losses": losses(folder, short), **baselines(folder, long),
            "last_valid": valid[-1], "lowest_valid": min(valid), "last_valid_within": within[-1],
            "lowest_valid_within": min(within), "onset": CORRUPTED.start if facts["fault"].startswith("corrupted") else "",
        }

    with ThreadPoolExecutor(arguments.jobs) as pool:
        all_found = list(pool.map(make, chosen))
    if None in all_found:
        sys.exit(f"{all_found.count(None)} of {len(chosen)} trainings are left: run the same command again")
    if arguments.judged_only:
        return
    same = lambda one: tuple(one[key] for key in ("corpus", "size", "group", "seed"))
    for found in all_found:
        found["label"], found["recovered"] = label(found, [one for one in all_found if same(one) == same(found)])
        if found["label"] in LEFT:
            found["onset"] = onsets.get(found["name"], [""])[0]
    shown = lambda value: f"{value:.6g}" if isinstance(value, float) else str(value)
    lines = ["\t".join(COLUMNS)] + ["\t".join(shown(found[column]) for column in COLUMNS) for found in all_found]
    output = arguments.output or (None if arguments.only or arguments.limit else Path(__file__).with_name(SETS[arguments.set].labels))
    if output is None:
        print("\n".join(lines))
    else:
        Path(output).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
