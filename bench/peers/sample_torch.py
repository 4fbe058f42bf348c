#!/usr/bin/env python3
"""Draws a sample from a checkpoint in PyTorch, token by token at batch size 1, as an experienced user would write it.

    sample_torch.py WEIGHTS.safetensors --tokens 10000

Eager nn.LSTM without gradients; torch.multinomial at temperature 1.0, or argmax with `--greedy`. Prints tokens per
second as one line of JSON, excluding the time to start and to load the weights.
"""

import argparse
import json
import sys
import time

try:
    import torch
    from safetensors.torch import load_file
    from torch import nn
except ImportError as error:
    sys.exit(f"error: {sys.executable}: {error}\nhint: pip install torch==2.11.0 numpy safetensors tokenizers")


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", help="a checkpoint's weights object")
    parser.add_argument("--tokens", type=int, default=10_000, help="(default: %(default)s)")
    parser.add_argument("--warmup", type=int, default=100, help="tokens before measuring (default: %(default)s)")
    parser.add_argument("--greedy", action="store_true", help="take the likeliest token")
    parser.add_argument("--temperature", type=float, default=1.0, help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--print", action="store_true", help="also print the ids, to stderr")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    tensors = {name: tensor.float() for name, tensor in load_file(arguments.weights).items()}
    encoder = tensors["encoder.weight"]
    decoder, bias = tensors.get("decoder.weight", encoder), tensors["decoder.bias"]
    recurrent = {name.removeprefix("lstm."): t for name, t in tensors.items() if name.startswith("lstm.")}
    lstm = nn.LSTM(encoder.shape[1], decoder.shape[1], sum(name.startswith("weight_hh") for name in recurrent))
    lstm.load_state_dict(recurrent)
    lstm.eval()

    token, state, drawn = torch.zeros(1, 1, dtype=torch.int64), None, []
    for i in range(arguments.warmup + arguments.tokens):
        if i == arguments.warmup:
            begun = time.perf_counter()
        y, state = lstm(nn.functional.embedding(token, encoder), state)
        logits = nn.functional.linear(y[0], decoder, bias)
        if arguments.greedy:
            token = logits.argmax(-1, keepdim=True)
        else:
            token = torch.multinomial(torch.softmax(logits / arguments.temperature, -1), 1)
        drawn.append(token.item())
    seconds = time.perf_counter() - begun
    if arguments.print:
        print(*drawn, file=sys.stderr)
    how = "greedy" if arguments.greedy else f"temperature {arguments.temperature}"
    what = f"sample, PyTorch {torch.__version__} eager, {how}"
    print(json.dumps({"what": what, "value": arguments.tokens / seconds, "unit": "tokens/s", "threads": arguments.threads}))


if __name__ == "__main__":
    main()
