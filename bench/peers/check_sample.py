#!/usr/bin/env python3
"""Compares what the stage `sample` draws from with PyTorch's forward pass in f32, token by token.

    check_sample.py WEIGHTS.safetensors IDS
    check_sample.py WEIGHTS.safetensors IDS --read 3000 --greedy 10000

WEIGHTS is a checkpoint's weights object, IDS an ids object (tokens as unsigned 32-bit little-endian integers). Both
sides read the first --read tokens of IDS and then --greedy tokens, each the likeliest after those before it. Prints the
largest difference between two logits, and how many of the likeliest tokens are the same; where they differ, the gap
between the two in PyTorch's logits, which must be small enough for rounding. Then PyTorch draws the greedy text by
itself, and the two texts are compared. Exit code 1 if a logit differs by more than --tolerance, or a gap exceeds twice
that.

Build first: cargo build --release -p stages --example logits. Requires torch, safetensors and numpy; not part of
`make test`.
"""

import argparse
import subprocess
import sys
from pathlib import Path

try:
    import numpy
    import torch
    from safetensors.torch import load_file
    from torch import nn
except ImportError as error:
    sys.exit(f"error: {sys.executable}: {error}\nhint: pip install torch==2.11.0 numpy safetensors")

ROOT = Path(__file__).resolve().parents[2]


class Model:
    """The forward pass, one token at a time."""

    def __init__(self, weights):
        tensors = {name: tensor.float() for name, tensor in load_file(weights).items()}
        self.encoder = tensors["encoder.weight"]  # [V, E]
        self.decoder, self.bias = tensors.get("decoder.weight", self.encoder), tensors["decoder.bias"]
        recurrent = {name.removeprefix("lstm."): t for name, t in tensors.items() if name.startswith("lstm.")}
        layers = sum(name.startswith("weight_hh") for name in recurrent)
        self.lstm = nn.LSTM(self.encoder.shape[1], self.decoder.shape[1], layers)
        self.lstm.load_state_dict(recurrent)
        self.state = None

    def read(self, token):
        """The logits [V] after a token."""
        y, self.state = self.lstm(self.encoder[token].view(1, 1, -1), self.state)
        return nn.functional.linear(y[0, 0], self.decoder, self.bias)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", help="a checkpoint's weights object")
    parser.add_argument("ids", help="an ids object of the same vocabulary")
    parser.add_argument("--read", type=int, default=2000, help="tokens of IDS to read (default: %(default)s)")
    parser.add_argument("--greedy", type=int, default=3000, help="greedy tokens to draw after them (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="our side's threads (default: %(default)s)")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="allowed error of a logit (default: %(default)s)")
    parser.add_argument(
        "--program", default=str(ROOT / "target/release/examples/logits"), help="the built bench/logits.rs"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    tokens = numpy.fromfile(arguments.ids, "<u4")[: arguments.read].tolist()
    model = Model(arguments.weights)
    types = len(model.bias)
    command = [arguments.program, arguments.weights, types, arguments.ids, len(tokens), arguments.greedy, arguments.threads]
    ours = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE)
    frame = numpy.dtype([("likeliest", "<u4"), ("logits", "<f4", (types,))])
    greatest, size, others, text, likeliest = 0.0, 0.0, [], [], None
    for i in range(len(tokens) + arguments.greedy):
        bytes_ = ours.stdout.read(frame.itemsize)
        if len(bytes_) < frame.itemsize:
            sys.exit(f"error: {arguments.program} ended after {i} tokens")
        # PyTorch reads the tokens that our side read.
        logits = model.read(tokens[i] if i < len(tokens) else likeliest)
        (found,) = numpy.frombuffer(bytes_, frame)
        likeliest = int(found["likeliest"])
        greatest = max(greatest, (torch.from_numpy(found["logits"].copy()) - logits).abs().max().item())
        size = max(size, logits.abs().max().item())
        if (best := logits.argmax().item()) != likeliest:
            others.append((i, likeliest, best, (logits[best] - logits[likeliest]).item()))
        text += [likeliest] if i + 1 >= len(tokens) else []
    ours.wait()
    count = len(tokens) + arguments.greedy
    print(f"{count:,} tokens read, {len(tokens):,} of a text and {arguments.greedy:,} greedy")
    print(f"logits: the largest of {count * types:,} differences is {greatest:.2e}; the largest logit is {size:.1f}")
    print(f"likeliest tokens: {count - len(others):,} of {count:,} are the same")
    for i, ours_, theirs, gap in others:
        print(f"  after token {i}: {ours_}, but {theirs} in PyTorch, whose logit is {gap:.2e} larger")

    alone = Model(arguments.weights)
    for token in tokens:
        logits = alone.read(token)
    for i, expected in enumerate(text):
        if (best := logits.argmax().item()) != expected:
            gap = (logits[best] - logits[expected]).item()
            where = f"greedy text: first difference at token {i} of {len(text):,}"
            print(f"{where}: {expected}, but {best} in PyTorch, whose logit is {gap:.2e} larger")
            break
        logits = alone.read(best)
    else:
        print(f"greedy text: all {len(text):,} tokens equal PyTorch's; {len(set(text)):,} of them are distinct")
    if greatest > arguments.tolerance or any(gap > 2 * arguments.tolerance for *_, gap in others):
        sys.exit(1)


if __name__ == "__main__":
    main()
