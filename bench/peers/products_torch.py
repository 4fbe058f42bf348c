#!/usr/bin/env python3
"""Measures matrix products on this machine, through PyTorch: the softmax layer's three, and a large square one.

    products_torch.py --threads 2

The large one stands for the machine's limit. Prints GFLOP/s, the best of many, as one line of JSON.
"""

import argparse
import json
import time

import recorded

recorded.require("torch")

import torch


def best(make, flops, rounds):
    make()
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        make()
        times.append(time.perf_counter() - begun)
    return flops / min(times) / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=400, help="rows of a window, T · B (default: %(default)s)")
    parser.add_argument("--hidden", type=int, default=200, help="(default: %(default)s)")
    parser.add_argument("--vocab", type=int, default=10_000, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=30, help="(default: %(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    n, h, v = arguments.tokens, arguments.hidden, arguments.vocab
    found = {}
    for name, kind in (("f32", torch.float32), ("bf16", torch.bfloat16)):
        y, w, d = (torch.randn(shape).to(kind) for shape in ((n, h), (v, h), (n, v)))
        large = torch.randn(2048, 2048).to(kind)
        flops = 2 * n * h * v
        found[name] = {
            "logits": best(lambda: y @ w.t(), flops, arguments.rounds),
            "weight_gradient": best(lambda: d.t() @ y, flops, arguments.rounds),
            "input_gradient": best(lambda: d @ w, flops, arguments.rounds),
            "large": best(lambda: large @ large, 2 * 2048**3, max(3, arguments.rounds // 4)),
        }
    print(json.dumps({"what": "products", "value": found, "unit": "GFLOP/s", "threads": torch.get_num_threads()}))


if __name__ == "__main__":
    main()
