#!/usr/bin/env python3
"""Compares what `pipeline show RUN --step N` says about each token with PyTorch.

    check_tokens.py run42 --db experiments.db --step 150

PyTorch trains the run from its initial weights up to step N, as follow.py does. There it computes the negative
log-likelihood and rank of each target, and the five likeliest types with their probabilities. The program replays the
same step from the nearest state. Both compute in the run's precision; agreement is required to 1e-9 in f64, and to 1e-4
in f32, where rounding grows over N updates. Ranks and the order of likeliest types may differ where log-probabilities
are closer than that.
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
    parser.add_argument("--step", type=int, required=True, help="the step to check")
    parser.add_argument("--masks", action="store_true", help="with dropout: drop the activations that the run dropped")
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
                assert types[token["target"]] == target, f"{token}: a different target"
                worst["loss"] = max(worst["loss"], abs(token["loss"] + here[target].item()))
                # The best and the worst rank that the tolerance allows.
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
    print(f"replayed loss identical to the recorded loss: {shown['replay']['identical']}")
    print(
        f"largest difference from PyTorch: loss {worst['loss']:.1e} nats, probability {worst['probability']:.1e} "
        f"(allowed {tolerance:.0e}); largest relative difference of a loss on the way there {figures['loss']:.1e}"
    )
    print(f"wrong ranks: {ranks}; wrong likeliest types: {swapped}")
    agrees = max(worst.values()) <= tolerance and not ranks and not swapped and shown["replay"]["identical"]
    print("agrees" if agrees else "DIFFERS")
    sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()
