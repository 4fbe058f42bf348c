#!/usr/bin/env python3
"""Holds what `pipeline show RUN --step N` says of each token against PyTorch.

    check_tokens.py run42 --db experiments.db --step 150

PyTorch trains the run from its untouched weights up to step N, as follow.py does, and there computes of each target the
negative log-likelihood, its rank, and the five likeliest types with their probabilities. The program replays the same
step from its nearest state. Both in the run's precision; agreement is wanted to 1e-9 in f64 and to 1e-4 in f32, where
rounding has grown through N updates. A rank may be off where other logits lie within that of the target's, and likeliest
types may have changed places where their probabilities are that near.
"""

import argparse
import json
import subprocess
import sys

import recorded

recorded.require("torch", "numpy", "safetensors")

import torch
from check_baselines import read_types
from follow import follow

TOLERANCE = {"f64": 1e-9, "f32": 1e-4}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    recorded.add_arguments(parser)
    parser.add_argument("--step", type=int, required=True, help="the step that is looked at")
    parser.add_argument("--masks", action="store_true", help="with dropout: drop what the run dropped")
    parser.add_argument("--pipeline", default="target/release/pipeline", help="the program (default: %(default)s)")
    arguments = parser.parse_args()
    run = recorded.Run(arguments.db, arguments.run, arguments.store)
    words = [arguments.pipeline, "--db", arguments.db, "show", str(run.number)]
    words += ["--step", str(arguments.step), "--replay", "--json"]
    shown = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    if shown["tokens"] is None:
        sys.exit(f"error: not replayed: {shown['why_no_tokens']}")

    seen = []

    def look(step, logits, targets):
        if step == arguments.step:
            seen.append((logits, targets))

    figures = follow(run, arguments.step + 1, arguments.masks, look=look)
    types = {word: at for at, word in enumerate(read_types(run.object("vocab", "vocab")))}
    tolerance = TOLERANCE[run.train("precision", "f32")]
    worst, ranks, swapped, tokens = {"loss": 0.0, "probability": 0.0}, 0, 0, iter(shown["tokens"])
    for logits, targets in seen:
        steps, rows = targets.shape
        logs = torch.log_softmax(logits.double(), -1).view(steps, rows, -1)
        for row in range(rows):
            for t in range(steps):
                token, here, target = next(tokens), logs[t, row], targets[t, row]
                assert types[token["target"]] == target, f"{token}: another target"
                worst["loss"] = max(worst["loss"], abs(token["loss"] + here[target].item()))
                # Those that are above the target for sure, and those that may be.
                least = int((here > here[target] + tolerance).sum()) + 1
                most = int((here > here[target] - tolerance).sum()) + 1
                ranks += not least <= token["rank"] <= max(most, least)
                likeliest = torch.topk(here, 5)
                for place, named in enumerate(token["likeliest"]):
                    same = types[named["word"]]
                    worst["probability"] = max(worst["probability"], abs(named["p"] - here[same].exp().item()))
                    near = abs(here[same] - likeliest.values[place]) <= tolerance
                    swapped += not near
    print(f"run{run.number}, step {arguments.step}: {len(shown['tokens'])} tokens")
    print(f"the replay's loss is the recorded one to the bit: {shown['replay']['identical']}")
    print(
        f"largest difference from PyTorch: loss {worst['loss']:.1e} nats, probability {worst['probability']:.1e} "
        f"(allowed {tolerance:.0e}); mean loss {figures['loss']:.1e} over the way"
    )
    print(f"ranks that are others: {ranks}; likeliest types that are others: {swapped}")
    agrees = max(worst.values()) <= tolerance and not ranks and not swapped and shown["replay"]["identical"]
    print("agrees" if agrees else "DIFFERS")
    sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()
