#!/usr/bin/env python3
"""Recomputes the loss of a split with PyTorch's nn.LSTM, for comparison with what the stage `evaluate` recorded.

    check_valid_loss.py WEIGHTS.safetensors IDS

WEIGHTS is a checkpoint's weights object, IDS an ids object (tokens as unsigned 32-bit little-endian integers). Prints
the mean negative log-likelihood in nats per token and the number of tokens scored: every token but the first, as one
stream from a zero state. Agreement to 1e-4 nats is expected. Requires torch, safetensors and numpy; not part of
`make test`.
"""

import sys

import numpy
import torch
from safetensors.torch import load_file

CHUNK = 512


def main(weights: str, ids: str) -> None:
    tensors = load_file(weights)
    tokens = torch.from_numpy(numpy.fromfile(ids, "<u4").astype(numpy.int64))
    if len(tokens) < 2:
        raise SystemExit("error: a split of fewer than two tokens has no loss")
    encoder = tensors["encoder.weight"]  # [V, E]
    decoder = tensors.get("decoder.weight", encoder)  # [V, H]; absent where tied
    bias = tensors["decoder.bias"]
    recurrent = {name.removeprefix("lstm."): t for name, t in tensors.items() if name.startswith("lstm.")}
    layers = sum(name.startswith("weight_hh") for name in recurrent)
    lstm = torch.nn.LSTM(encoder.shape[1], decoder.shape[1], layers)
    lstm.load_state_dict(recurrent)

    total, state = 0.0, None
    with torch.no_grad():
        for start in range(0, len(tokens) - 1, CHUNK):
            window = tokens[start : start + CHUNK + 1]
            y, state = lstm(encoder[window[:-1]].unsqueeze(1), state)  # [T, 1, H]
            logits = torch.nn.functional.linear(y.squeeze(1), decoder, bias).double()
            total += torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum").item()
    n = len(tokens) - 1
    print(f"{total / n:.6f} nats per token over {n} tokens")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: check_valid_loss.py WEIGHTS.safetensors IDS")
    main(*sys.argv[1:])
