#!/usr/bin/env python3
"""Repeats a recorded training in PyTorch, step by step, and compares losses and gradient norms.

    follow.py run42 --db experiments.db

Takes the run's initial weights (checkpoint 0), batch plan, ids and recorded parameters. Everything else is PyTorch's:
nn.Embedding, nn.LSTM and nn.Linear, autograd, cross_entropy, clip_grad_norm_, torch.optim, and the schedules of
torch.optim.lr_scheduler. The two trainings share no code, so an error in a gradient, an update rule, a schedule,
clipping, the order of batches or the carried state makes them differ within a few steps.

Relative agreement is required to 1e-9 if the run computes in f64 (`train.precision`), and to 1e-4 in f32, where
rounding grows with every update. Exits with 0 if every step agrees, with 1 if not.

Dropout can't be followed with PyTorch's generator. `--masks` drops the activations that the run dropped, recomputed
from its seed: that checks where dropout is applied and how it is scaled. check_dropout.py checks the draws themselves.
"""

import argparse
import json
import math
import sys

import recorded

recorded.require("torch", "numpy", "safetensors")

import numpy
import torch
from safetensors.torch import load_file
from torch import nn
from torch.optim import lr_scheduler

TOLERANCE = {"f64": 1e-9, "f32": 1e-4}
CHUNK = 512


class Model(nn.Module):
    """Embedding, LSTM layers, softmax layer. Each LSTM layer is a module, so that dropout can come between them."""

    def __init__(self, tensors):
        super().__init__()
        vocab, width = tensors["encoder.weight"].shape
        hidden = tensors["lstm.weight_hh_l0"].shape[1]
        self.encoder = nn.Embedding(vocab, width)
        layers = sum(name.startswith("lstm.weight_hh") for name in tensors)
        self.lstm = nn.ModuleList(nn.LSTM(width if l == 0 else hidden, hidden) for l in range(layers))
        self.decoder = nn.Linear(hidden, vocab)
        state = {}
        for name, tensor in tensors.items():
            if name.startswith("lstm."):
                kind, _, layer = name.removeprefix("lstm.").rpartition("_l")
                name = f"lstm.{layer}.{kind}_l0"
            state[name] = tensor
        if "decoder.weight" not in tensors:
            state["decoder.weight"] = state["encoder.weight"]
            self.decoder.weight = self.encoder.weight
        self.to(state["encoder.weight"].dtype)
        self.load_state_dict(state)

    def forward(self, x, carry, drop=lambda layer, a: a):
        """x [T, B] → logits [T·B, V], and the carried states."""
        y, after = drop(0, self.encoder(x)), []
        for l, lstm in enumerate(self.lstm):
            y, (h, c) = lstm(y, None if carry is None else carry[l])
            after.append((h.detach(), c.detach()))
            y = drop(l + 1, y)
        return self.decoder(y.flatten(0, 1)), after

    @torch.no_grad()
    def score(self, ids):
        """Mean negative log-likelihood of a split, as one stream from a zero state."""
        total, carry = 0.0, None
        tokens = torch.from_numpy(ids.astype(numpy.int64))
        for start in range(0, len(tokens) - 1, CHUNK):
            window = tokens[start : start + CHUNK + 1]
            logits, carry = self(window[:-1].unsqueeze(1), carry)
            total += nn.functional.cross_entropy(logits.double(), window[1:], reduction="sum").item()
        return total / (len(tokens) - 1)


def optimiser(run, parameters):
    """The run's update rule, from torch.optim."""
    rule, rate, decay = run.train("optimizer"), run.train("learning_rate"), run.train("weight_decay")
    common = {"lr": rate, "weight_decay": decay}
    epsilon, betas = run.train("epsilon"), (run.train("beta1"), run.train("beta2"))
    match rule:
        case "sgd":
            return torch.optim.SGD(parameters, **common)
        case "momentum":
            return torch.optim.SGD(parameters, momentum=run.train("momentum"), **common)
        case "adagrad":
            return torch.optim.Adagrad(parameters, eps=epsilon, **common)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, alpha=run.train("alpha"), eps=epsilon, **common)
        case "adam":
            return torch.optim.Adam(parameters, betas=betas, eps=epsilon, **common)
        case "adamw":
            return torch.optim.AdamW(parameters, betas=betas, eps=epsilon, **common)
    sys.exit(f"error: train.optimizer = {rule!r} is unknown here")


class Rates:
    """The learning rate of each step, from PyTorch's schedulers, or from a formula if it has none.

    Both the warm-up and the schedule count from the first step, and the warm-up's rate applies while it lasts, so each
    has its own scheduler.
    """

    def __init__(self, run, plan, length):
        base, kind = run.train("learning_rate"), run.train("schedule.kind", "constant")
        value = lambda name: run.train(f"schedule.{name}")
        self.warmup, windows = run.train("warmup", 0), run.train("accumulate", 1)

        def scheduled(make):
            dummy = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=base)
            return dummy, make(dummy)

        match kind:
            case "constant":
                make = lambda o: lr_scheduler.ConstantLR(o, factor=1.0)
            case "exponential" if value("staircase"):
                make = lambda o: lr_scheduler.StepLR(o, step_size=value("every"), gamma=value("rate"))
            case "exponential":
                make = lambda o: lr_scheduler.ExponentialLR(o, gamma=value("rate") ** (1 / value("every")))
            case "epoch":
                make = lambda o: lr_scheduler.LambdaLR(
                    o, lambda n: value("rate") ** max(plan.epoch(n * windows) + 1 - value("after"), 0)
                )
            case "cosine":
                make = lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=length, eta_min=value("floor"))
            case "range":
                make = lambda o: lr_scheduler.ExponentialLR(o, gamma=(value("to") / base) ** (1 / max(length - 1, 1)))
            case "plateau":
                make = lambda o: lr_scheduler.ReduceLROnPlateau(
                    o, factor=value("rate"), patience=value("patience"), threshold=0.0, threshold_mode="abs", eps=0.0
                )
            case _:
                sys.exit(f"error: train.schedule.kind = {kind!r} is unknown here")
        self.main, self.schedule = scheduled(make)
        self.plateau = value("every") if kind == "plateau" else None
        if self.warmup:
            rise = lambda o: lr_scheduler.LinearLR(o, start_factor=1 / self.warmup, total_iters=self.warmup - 1)
            constant = lambda o: lr_scheduler.ConstantLR(o, factor=1.0)
            self.rising, self.rise = scheduled(rise if self.warmup > 1 else constant)
        self.base = base

    def look_due(self, step):
        """Whether a plateau schedule looks at the validation loss before `step`."""
        return self.plateau is not None and step > 0 and step % self.plateau == 0

    def look(self, loss):
        self.schedule.step(loss)

    def at(self, step):
        """The rate of `step`; steps must be requested in order."""
        rate = self.main.param_groups[0]["lr"]
        if step < self.warmup:
            risen = self.rising.param_groups[0]["lr"]
            rate = risen * (rate / self.base if self.plateau else 1.0)
            self.advance(self.rising, self.rise)
        if self.plateau is None:
            self.advance(self.main, self.schedule)
        return rate

    @staticmethod
    def advance(optimiser, schedule):
        optimiser.step()
        schedule.step()


class Masks:
    """Drops the activations that the run dropped, from its seed: those whose random number is below the share."""

    def __init__(self, share, seed):
        self.share, self.seed, self.window = share, seed, 0

    def __call__(self, layer, activations):
        if self.share == 0.0:
            return activations
        numbers = recorded.Stream(self.seed, f"dropout step {self.window} layer {layer}").many(activations.numel())
        kept = torch.from_numpy(numbers >= numpy.uint64(int(self.share * 2.0**64)))
        return activations * kept.view_as(activations).to(activations.dtype) / (1.0 - self.share)


def relative(found, recorded_value):
    """|found − recorded| / |recorded|; 0 if neither is finite, infinite if only one is."""
    if recorded_value is None or not math.isfinite(found):
        return 0.0 if recorded_value is None and not math.isfinite(found) else math.inf
    return abs(found - recorded_value) / max(abs(recorded_value), 1e-300)


def follow(run, limit=200, masks=False, threads=1, trace=None, look=None):
    """Follows a run and returns a dictionary of figures. `look` is called with each window's logits [T·B, V]."""
    torch.set_num_threads(threads)
    precision = run.train("precision", "f32")
    if precision not in TOLERANCE:
        sys.exit(f"error: run{run.number} was trained in {precision}: only f32 and f64 can be followed")
    share = run.train("dropout", 0.0)
    if share and not masks:
        sys.exit(
            f"error: run{run.number} has train.dropout = {share}: PyTorch would drop other activations\n"
            "hint: pass --masks to drop what the run dropped; check_dropout.py compares with nn.Dropout"
        )
    tensors = load_file(run.object("train", "weights@0"))
    held = {"f32": torch.float32, "f64": torch.float64}[precision]
    if (dtype := tensors["encoder.weight"].dtype) != held:
        sys.exit(f"error: run{run.number}: train.precision is {precision}, but its weights are {dtype}")
    model, plan, ids = Model(tensors), run.plan(), run.ids("train")
    parameters = list(model.parameters())
    update = optimiser(run, parameters)
    rates = Rates(run, plan, run.length())
    valid = run.ids("valid") if rates.plateau else None
    looks = run.looks()
    drop = Masks(share, run.train("seed", 0))
    # An update uses the mean gradient of this many consecutive windows.
    clip, windows = run.train("clip_norm", 0.0), run.train("accumulate", 1)
    scale = plan.unroll if run.train("loss_scale", "mean") == "sum" else 1

    worst = {"loss": 0.0, "grad_norm": 0.0, "rate": 0.0, "valid": 0.0}
    first, clipped, followed, carry = None, 0, 0, None
    tolerance = TOLERANCE[precision]
    for step, row in enumerate(run.steps(limit)):
        if rates.look_due(step):
            loss = model.score(valid)
            worst["valid"] = max(worst["valid"], relative(loss, looks.get(step)))
            rates.look(loss)
        rate = rates.at(step)
        for group in update.param_groups:
            group["lr"] = rate
        update.zero_grad()
        mean = 0.0
        for window in range(step * windows, (step + 1) * windows):
            x, targets = (torch.from_numpy(a) for a in plan.batch(ids, window))
            if plan.resets_state(window):
                carry = None
            drop.window = window
            logits, carry = model(x, carry, drop)
            if look:
                look(step, logits.detach(), targets)
            loss = nn.functional.cross_entropy(logits, targets.flatten()) / windows
            (loss * scale).backward()
            mean += loss.item()
        norm = nn.utils.clip_grad_norm_(parameters, clip if clip else math.inf).item() / scale
        try:
            update.step()
        except RuntimeError as error:  # A rate outside the range of f32.
            sys.exit(f"error: run{run.number}: PyTorch refuses the update of step {step}: {error}")

        errors = {
            "loss": relative(mean, row["loss"]),
            "grad_norm": relative(norm, row["grad_norm"]),
            "rate": relative(rate, row["learning_rate"]),
        }
        if trace is not None:
            print(
                f"{step:6} {row['loss'] or math.nan:.12g} {mean:.12g} {errors['loss']:.1e}   "
                f"{row['grad_norm'] or math.nan:.12g} {norm:.12g} {errors['grad_norm']:.1e}   {rate:.6g}",
                file=trace,
            )
        followed, clipped = step + 1, clipped + row["clipped"]
        for name, error in errors.items():
            worst[name] = max(worst[name], error)
        if first is None and max(errors.values()) > tolerance:
            first = step
        if row["loss"] is None:
            break  # From here on both are NaN.
    verdict = first is None and followed > 0 and worst["valid"] <= tolerance
    return {
        "run": run.number,
        "precision": precision,
        "steps": followed,
        "epochs": plan.epoch(followed * windows - 1) + 1 if followed else 0,
        "clipped": clipped,
        **worst,
        "tolerance": tolerance,
        "first": first,
        "agrees": verdict,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    recorded.add_arguments(parser)
    parser.add_argument("--steps", type=int, default=200, help="steps to follow at most (default: %(default)s)")
    parser.add_argument(
        "--masks", action="store_true", help="with dropout: drop the activations that the run dropped"
    )
    parser.add_argument("--threads", type=int, default=1, help="PyTorch's threads (default: %(default)s)")
    parser.add_argument("--trace", action="store_true", help="print every step: recorded and found loss and norm")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parser.parse_args()
    run = recorded.Run(arguments.db, arguments.run, arguments.store)
    trace = sys.stdout if arguments.trace else None
    found = follow(run, arguments.steps, arguments.masks, arguments.threads, trace)
    if arguments.json:
        print(json.dumps(found))
    else:
        print(f"run{found['run']}: {found['steps']} steps, {found['epochs']} epochs, {found['clipped']} steps clipped")
        print(
            f"largest relative difference: loss {found['loss']:.1e}, gradient norm {found['grad_norm']:.1e}, "
            f"learning rate {found['rate']:.1e}, validation loss {found['valid']:.1e} ({found['precision']}, "
            f"allowed {found['tolerance']:.0e})"
        )
        if found["first"] is not None:
            print(f"first step that differs by more: {found['first']}")
        print("agrees" if found["agrees"] else "DIFFERS")
    sys.exit(0 if found["agrees"] else 1)


if __name__ == "__main__":
    main()
