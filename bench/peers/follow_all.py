#!/usr/bin/env python3
"""Trains a small model in every way that an experiment can request, and follows each training in PyTorch (follow.py).

    follow_all.py --pipeline target/release/pipeline -o follow.md

Covers every update rule with and without clipping and weight decay, every schedule, one and two layers, tied and
untied, both scales of the loss, every layout of batches, and dropout by its masks. All are points of one study in a
scratch folder. Its corpus is the beginning of a text, so short that each training has three epochs. Exits with 1 if one
differs. `--precision f64` requires agreement to 1e-9 instead of 1e-4, and then checks that the comparison is sensitive:
with a parameter off by a millionth, PyTorch must not agree.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import recorded

recorded.require("torch", "numpy", "safetensors")

import torch
from follow import follow

ROOT = Path(__file__).resolve().parents[2]

# Rates that learn within 200 steps without diverging.
RATE = {"sgd": 2.0, "momentum": 0.3, "adagrad": 0.05, "rmsprop": 0.002, "adam": 0.005, "adamw": 0.005}
# Norms that some steps exceed and others do not.
CLIP = {"sgd": 0.3, "momentum": 0.2, "adagrad": 0.35, "rmsprop": 0.4, "adam": 0.4, "adamw": 0.4}
SCHEDULES = {
    "exponential": '{ kind = "exponential", rate = 0.3, every = 50 }',
    "exponential, staircase": '{ kind = "exponential", rate = 0.3, every = 50, staircase = true }',
    "epoch (Zaremba)": '{ kind = "epoch", rate = 0.5, after = 1 }',
    "cosine": '{ kind = "cosine", floor = 0.01 }',
    "cosine to 0": '{ kind = "cosine" }',
    "plateau": '{ kind = "plateau", rate = 0.5, every = 8 }',
    "plateau, patience 1": '{ kind = "plateau", rate = 0.5, every = 8, patience = 1 }',
}

EXPERIMENT = """\
name = "follow"
seed = 1
[corpus]
text = "corpus.txt"
split = {{ valid = 0.1, test = 0.0 }}
[tokenize]
unit = "word"
[vocab]
size = 500
[batch]
size = 8
unroll = 10
[train]
embedding = 32
hidden = 32
steps = {steps}
checkpoints = {{ every = 0 }}
{extra}
"""


def cases(accumulate):
    """(name, {key: TOML value}) of each training."""
    all = []

    def add(name, rule, rate=1.0, **keys):
        keys = {k: v if isinstance(v, str) else json.dumps(v) for k, v in keys.items()}
        train = {"optimizer": f'"{rule}"', "learning_rate": str(RATE[rule] * rate)} | keys
        all.append((name, {(k if k.startswith("batch.") else f"train.{k}"): v for k, v in train.items()}))

    for rule in RATE:
        add(f"{rule}", rule)
        add(f"{rule}, clipped", rule, clip_norm=CLIP[rule])
        add(f"{rule}, weight decay", rule, weight_decay=0.003)
        add(f"{rule}, clipped, weight decay, 2 layers", rule, clip_norm=CLIP[rule] / 2, weight_decay=0.003, layers=2)
    for rule in ("sgd", "adam"):
        for name, schedule in SCHEDULES.items():
            # A plateau schedule acts only if the validation loss rises sometimes.
            add(f"{rule}, {name}", rule, 4.0 if "plateau" in name else 1.0, schedule=schedule)
        add(f"{rule}, range", rule, 0.01, schedule=f'{{ kind = "range", to = {2 * RATE[rule]} }}')
        add(f"{rule}, warm-up", rule, warmup=30)
        add(f"{rule}, warm-up of 1", rule, warmup=1)
        add(f"{rule}, warm-up, cosine", rule, warmup=30, schedule=SCHEDULES["cosine"])
        add(f"{rule}, warm-up, plateau", rule, 4.0, warmup=30, schedule=SCHEDULES["plateau"])
        for layers in (1, 2):
            add(f"{rule}, {layers} layer{'s' * (layers - 1)}, tied", rule, tied=True, layers=layers)
            add(f"{rule}, {layers} layer{'s' * (layers - 1)}, untied", rule, layers=layers, init='"xavier"', forget_bias=1.0)
        add(f"{rule}, sum", rule, 0.1, loss_scale='"sum"')
        add(f"{rule}, sum, clipped", rule, 0.1, loss_scale='"sum"', clip_norm=10 * CLIP[rule])
    add("sgd, Zaremba small's recipe", "sgd", 0.5, layers=2, loss_scale='"sum"', clip_norm=5.0, schedule=SCHEDULES["epoch (Zaremba)"])
    add("momentum 0.5", "momentum", 2.0, momentum=0.5)
    add("rmsprop, alpha 0.9, epsilon 1e-4", "rmsprop", alpha=0.9, epsilon="1e-4")
    add("adam, betas 0.8 and 0.99, epsilon 1e-4", "adam", beta1=0.8, beta2=0.99, epsilon="1e-4")
    for layout in ("shuffled", "sliding"):
        add(f"adam, {layout} windows", "adam", **{"batch.layout": f'"{layout}"'})
    add("adam, dropout 0.3", "adam", dropout=0.3)
    add("sgd, dropout 0.5, 2 layers, tied, clipped", "sgd", dropout=0.5, layers=2, tied=True, clip_norm=0.25)
    if accumulate:
        for rule in ("sgd", "adam"):
            add(f"{rule}, 2 windows accumulated", rule, accumulate=2)
            add(f"{rule}, 4 windows accumulated, clipped", rule, accumulate=4, clip_norm=CLIP[rule] / 2)
            add(f"{rule}, 3 windows accumulated, epoch", rule, accumulate=3, schedule=SCHEDULES["epoch (Zaremba)"], layers=2)
        add("adam, 2 windows accumulated, dropout 0.3", "adam", accumulate=2, dropout=0.3)
    assert len({json.dumps(keys) for _, keys in all}) == len(all), "duplicate cases"
    return all


# Checks the check: with one of these parameters off by a millionth, PyTorch must differ from the run.
CONTROLS = {
    "sgd, clipped": "clip_norm",
    "momentum": "momentum",
    "adagrad, weight decay": "weight_decay",
    "rmsprop": "alpha",
    "adam": "beta2",
    "adam, betas 0.8 and 0.99, epsilon 1e-4": "epsilon",
    "sgd, exponential": "schedule.rate",
    "adam, plateau": "schedule.rate",
}


def write(folder, text, found, steps, extra):
    (folder / "corpus.txt").write_text(text)
    points = ["[[study.points]]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()) for _, keys in found]
    path = folder / "follow.toml"
    path.write_text(EXPERIMENT.format(steps=steps, extra=extra) + "\n" + "\n".join(points))
    return path


def knows(program, folder, key):
    """Whether the program accepts a key of an experiment."""
    command = [program, "run", folder / "follow.toml", "--dry-run", "--set", key, "--db", folder / "experiments.db"]
    return subprocess.run(command, cwd=folder, capture_output=True).returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", default=str(ROOT / "target/release/pipeline"), help="(default: %(default)s)")
    parser.add_argument("--precision", choices=("f32", "f64"), default="f32", help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=200, help="steps of each training (default: %(default)s)")
    parser.add_argument("--text", default=str(ROOT / "data/shakespeare.txt"), help="the corpus (default: %(default)s)")
    parser.add_argument("--bytes", type=int, default=30_000, help="bytes of the text to use (default: %(default)s)")
    parser.add_argument("--only", default="", help="only cases whose names contain this")
    parser.add_argument("--folder", help="work in this folder and keep it (default: a scratch folder)")
    parser.add_argument("-o", "--output", help="also write the table to this file")
    arguments = parser.parse_args()
    program = os.path.abspath(arguments.pipeline)
    if not os.access(program, os.X_OK):
        sys.exit(f"error: {arguments.pipeline}: no such program\nhint: run make build, or pass --pipeline")

    scratch = tempfile.TemporaryDirectory(prefix="follow-") if arguments.folder is None else None
    folder = Path(scratch.name if scratch else arguments.folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    text = Path(arguments.text).read_bytes()[: arguments.bytes].decode(errors="ignore")
    # f32 is the default and is not written, so that older programs without the key can be followed too.
    extra = 'precision = "f64"' if arguments.precision == "f64" else ""
    write(folder, text, [], arguments.steps, "")
    chosen = [case for case in cases(knows(program, folder, "train.accumulate=2")) if arguments.only in case[0]]
    if not chosen:
        sys.exit(f"error: no case's name contains {arguments.only!r}")
    path = write(folder, text, chosen, arguments.steps, extra)
    db = folder / "experiments.db"
    ran = subprocess.run([program, "run", path, "--db", db, "--keep-going"], cwd=folder, stdout=subprocess.DEVNULL)
    if not db.exists() or ran.returncode == 2:
        sys.exit(ran.returncode or 1)
    numbers = recorded.sqlite3.connect(db).execute(
        "SELECT position, run_id FROM study_runs WHERE study_id = (SELECT max(study_id) FROM study_runs) ORDER BY position"
    ).fetchall()

    head = ["case", "steps", "epochs", "clipped", "loss", "gradient norm", "learning rate", "validation loss", "verdict"]
    rows, failed = [], 0
    for position, number in numbers:
        name = chosen[position][0]
        found = follow(recorded.Run(db, number), arguments.steps, masks=True)
        verdict = "agrees" if found["agrees"] else "DIFFERS"
        if found["first"] is not None:
            verdict += f" from step {found['first']}"
        failed += not found["agrees"]
        valid = f"{found['valid']:.0e}" if "plateau" in name else ""
        figures = [f"{found['loss']:.0e}", f"{found['grad_norm']:.0e}", f"{found['rate']:.0e}", valid]
        rows.append([name, str(found["steps"]), str(found["epochs"]), str(found["clipped"]), *figures, verdict])
        print(f"{name}: {verdict}, loss {figures[0]}, gradient norm {figures[1]}", file=sys.stderr)
    controls = []
    for position, number in numbers:
        name = chosen[position][0]
        if arguments.precision == "f64" and name in CONTROLS:
            run, key = recorded.Run(db, number), f"train.{CONTROLS[name]}"
            run.params[key] *= 1 + 1e-6
            found = follow(run, arguments.steps)
            failed += found["agrees"]
            told = f"differs from step {found['first']}" if not found["agrees"] else "AGREES, but must not"
            controls.append(f"- {name}, with `{key}` off by a millionth: {told}")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    line = lambda row: "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |"
    table = "\n".join([line(head), "| " + " | ".join("-" * width for width in widths) + " |", *map(line, rows)])
    tolerance = {"f32": "1e-4", "f64": "1e-9"}[arguments.precision]
    version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.strip()
    agreeing = sum(row[-1] == "agrees" for row in rows)
    summary = f"{agreeing} of {len(rows)} agree with PyTorch {torch.__version__} ({arguments.precision}, to {tolerance})"
    if controls:
        summary += ".\n\nSensitivity of the comparison:\n\n" + "\n".join(controls)
    print(f"{table}\n\n{summary}")
    if arguments.output:
        Path(arguments.output).write_text(
            f"# Trainings followed in PyTorch\n\n{version}, PyTorch {torch.__version__}, {platform.machine()}; written by "
            f"`bench/peers/follow_all.py --precision {arguments.precision}`. The largest relative difference of each "
            f"figure over all steps; {tolerance} is allowed.\n\n{table}\n\n{summary}\n"
        )
    sys.exit(1 if failed or ran.returncode else 0)


if __name__ == "__main__":
    main()
