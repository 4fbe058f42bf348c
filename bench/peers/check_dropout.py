#!/usr/bin/env python3
"""Compares dropout with PyTorch's nn.Dropout, by the losses and gradient norms that result.

    check_dropout.py --pipeline target/release/pipeline

Two generators never drop the same activations, so their distributions are compared. A run is trained with dropout at a
learning rate of 1e-12, at which no weight changes. The losses of its 2,000 steps are then one draw each from the
distribution that dropout gives to that batch's loss. PyTorch takes the same weights and batches, with nn.Dropout after
the embedding, between the layers and before the softmax, and draws several times. For each step n, with the recorded
value o and PyTorch's K draws with mean ā and variance s²,

    o − ā                       has mean 0 if the means agree, and
    (o − ā)² · K / (K + 1) − s²   has mean 0 if the variances do.

Both are averaged over all steps and divided by their standard errors, for the loss and for its gradient norm, which
differs if the backward pass drops other activations than the forward pass. Batches differ much more than draws, but
cancel out in both differences. Windows are shuffled, so that each starts from a zero state and steps are independent;
initial weights are large, so that losses depend on what is dropped. Agreement is required within 4 standard errors. To
check the check itself, PyTorch then drops a share that is off by `--off`, which must be detected. Exits with 1 if the
first comparison differs or the second does not.

This can't detect a mask in the wrong place or with the wrong scale; follow.py --masks does, by comparing every loss and
gradient step by step under the run's own masks. What remains is whether a mask's bits are fair and independent, which
is checked here directly: the share dropped at each place, and the correlation of a mask with the next element, the next
step and the next layer, must be within 4 standard errors of their expected values.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import recorded

recorded.require("torch", "numpy", "safetensors")

import numpy
import torch
from follow import Model
from safetensors.torch import load_file
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
WITHIN = 4.0

EXPERIMENT = """\
name = "dropout"
[corpus]
text = "corpus.txt"
split = {{ valid = 0.0, test = 0.0 }}
[vocab]
size = 200
[batch]
size = 8
unroll = 6
layout = "shuffled"
[train]
embedding = 24
hidden = 24
layers = 2
dropout = {share}
init = {{ uniform = 0.6 }}
optimizer = "sgd"
learning_rate = 1e-12
steps = {steps}
checkpoints = {{ every = 0 }}
"""


def errors(values):
    """The distance of the mean of `values` from 0, in standard errors."""
    values = numpy.asarray(values)
    return values.mean() / (values.std(ddof=1) / math.sqrt(len(values)))


def draws(model, run, rows, share, k):
    """PyTorch's losses and gradient norms: [steps, k, 2]."""
    dropout = nn.Dropout(share)
    plan, ids = run.plan(), run.ids("train")
    found = numpy.empty((len(rows), k, 2))
    parameters = list(model.parameters())
    for step in range(len(rows)):
        x, targets = (torch.from_numpy(a) for a in plan.batch(ids, step))
        for draw in range(k):
            model.zero_grad()
            logits, _ = model(x, None, lambda _layer, a: dropout(a))
            loss = nn.functional.cross_entropy(logits, targets.flatten())
            loss.backward()
            found[step, draw] = loss.item(), nn.utils.get_total_norm([p.grad for p in parameters]).item()
    return found


def compare(rows, found, k):
    """(name, z, ours, PyTorch's) of each comparison."""
    out = []
    for column, name in enumerate(("loss", "grad_norm")):
        o = numpy.array([row[name] for row in rows])
        mean, variance = found[:, :, column].mean(axis=1), found[:, :, column].var(axis=1, ddof=1)
        out.append((f"{name}: mean", errors(o - mean), o.mean(), mean.mean()))
        spread = (o - mean) ** 2 * k / (k + 1)
        out.append((f"{name}: spread", errors(spread - variance), math.sqrt(spread.mean()), math.sqrt(variance.mean())))
    return out


def masks(seed, share, steps=200, n=4000):
    """(name, z, found, expected) of the masks' own bits, for the three places where a model of two layers drops."""
    stream = lambda step, layer: recorded.Stream(seed, f"dropout step {step} layer {layer}").many(n)
    threshold = numpy.uint64(int(share * 2.0**64))
    dropped = numpy.array([[stream(step, layer) < threshold for layer in range(3)] for step in range(steps)])
    centred = (dropped - share) / math.sqrt(share * (1 - share))
    z = lambda products: products.sum() / math.sqrt(products.size)
    return [
        *((f"share dropped at place {layer}", z(centred[:, layer]), dropped[:, layer].mean(), share) for layer in range(3)),
        ("correlation with the next element", z(centred[:, :, 1:] * centred[:, :, :-1]), None, None),
        ("correlation with the next step", z(centred[1:] * centred[:-1]), None, None),
        ("correlation with the next layer", z(centred[:, 1:] * centred[:, :-1]), None, None),
    ]


def show(title, results):
    print(title)
    for name, z, ours, peer in results:
        values = f"{ours:12.6f} against {peer:10.6f}" if ours is not None else " " * 31
        print(f"  {name:36} {values}   {z:+6.2f} standard errors{'' if abs(z) <= WITHIN else '   DIFFERS'}")
    return all(abs(z) <= WITHIN for _, z, *_ in results)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline", default=str(ROOT / "target/release/pipeline"), help="(default: %(default)s)")
    parser.add_argument("--text", default=str(ROOT / "data/sonnets.txt"), help="the corpus (default: %(default)s)")
    parser.add_argument("--share", type=float, default=0.3, help="share to drop (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=2000, help="(default: %(default)s)")
    parser.add_argument("--draws", type=int, default=4, help="PyTorch's draws per step (default: %(default)s)")
    parser.add_argument("--off", type=float, default=0.05, help="error of the control's share (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="PyTorch's seed (default: %(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="dropout-") as scratch:
        folder = Path(scratch)
        (folder / "corpus.txt").write_bytes(Path(arguments.text).read_bytes())
        (folder / "dropout.toml").write_text(EXPERIMENT.format(share=arguments.share, steps=arguments.steps))
        db = folder / "experiments.db"
        command = [os.path.abspath(arguments.pipeline), "run", folder / "dropout.toml", "--db", db]
        if (code := subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL).returncode) != 0:
            sys.exit(code)
        run = recorded.Run(db)
        rows = run.steps()
        first, last = (load_file(run.object("train", f"weights@{step}")) for step in (0, arguments.steps))
        if any(not torch.equal(first[name], last[name]) for name in first):
            sys.exit("error: the weights changed, so the recorded losses are not from one distribution")
        model, k = Model(first), arguments.draws
        title = f"{len(rows)} steps with dropout {arguments.share} against nn.Dropout({{}}), {k} draws per step:"
        agrees = show(title.format(arguments.share), compare(rows, draws(model, run, rows, arguments.share, k), k))
        fair = show("the masks' bits:", masks(run.train("seed"), arguments.share))
        wrong = arguments.share + arguments.off
        title = title.format(round(wrong, 6)) + " (a control, which must differ)"
        control = show(title, compare(rows, draws(model, run, rows, wrong, k), k))
    print("agrees" if agrees and fair and not control else "DIFFERS" if not (agrees and fair) else "INCONCLUSIVE")
    sys.exit(0 if agrees and fair and not control else 1)


if __name__ == "__main__":
    main()
