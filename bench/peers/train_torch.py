#!/usr/bin/env python3
"""Trains the small model of Zaremba, Sutskever and Vinyals 2014 in PyTorch, as an experienced user would write it.

    train_torch.py --text data/ptb/ptb.train.txt --steps 200

Eager nn.LSTM, state detached between windows, clip_grad_norm_, torch.optim.SGD with its default implementation, all in
f32; the loss and the norm are read at each step, as for logging. Prints tokens per second over `--steps` whole steps,
after `--warmup` steps, as one line of JSON.

Tokens come from a text, split at white space with <eos> for each line's end; from a file of ids (unsigned 32-bit
little-endian, such as `train` of the stage vocab); or, with `--random`, from a Zipf distribution.
"""

import argparse
import json
import sys
import time
from collections import Counter

try:
    import numpy
    import torch
    from torch import nn
except ImportError as error:
    sys.exit(f"error: {sys.executable}: {error}\nhint: pip install torch==2.11.0 numpy safetensors tokenizers")


class Model(nn.Module):
    def __init__(self, vocab, hidden, layers, bound):
        super().__init__()
        self.encoder = nn.Embedding(vocab, hidden)
        self.lstm = nn.LSTM(hidden, hidden, layers)
        self.decoder = nn.Linear(hidden, vocab)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x, state):
        y, state = self.lstm(self.encoder(x), state)
        return self.decoder(y.flatten(0, 1)), state


def tokens(arguments):
    """Ids and the number of types."""
    if arguments.random:
        rank = numpy.arange(1, arguments.vocab + 1)
        share = (1 / rank) / (1 / rank).sum()
        return numpy.random.default_rng(1).choice(arguments.vocab, 929_589, p=share), arguments.vocab
    if arguments.ids:
        ids = numpy.fromfile(arguments.ids, "<u4").astype(numpy.int64)
        return ids, max(arguments.vocab, int(ids.max()) + 1)
    words = []
    with open(arguments.text, encoding="utf-8") as text:
        for line in text:
            words.extend(line.split())
            words.append("<eos>")
    index = {"<unk>": 0}
    for word, _ in Counter(words).most_common():
        if len(index) == arguments.vocab:
            break
        index.setdefault(word, len(index))
    return numpy.array([index.get(word, 0) for word in words]), len(index)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", help="a corpus")
    source.add_argument("--ids", help="a file of ids")
    source.add_argument(
        "--random", action="store_true", help="tokens from a Zipf distribution, as many as in the Penn Treebank"
    )
    parser.add_argument("--vocab", type=int, default=10_000, help="types (default: %(default)s)")
    parser.add_argument("--hidden", type=int, default=200, help="(default: %(default)s)")
    parser.add_argument("--layers", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--batch", type=int, default=20, help="(default: %(default)s)")
    parser.add_argument("--unroll", type=int, default=20, help="(default: %(default)s)")
    parser.add_argument("--rate", type=float, default=1.0, help="learning rate, for the summed loss (default: %(default)s)")
    parser.add_argument("--clip", type=float, default=5.0, help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=200, help="measured steps (default: %(default)s)")
    parser.add_argument("--warmup", type=int, default=10, help="steps before measuring (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32", help="bf16: torch.autocast (default: %(default)s)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: cuDNN's LSTM (default: %(default)s)")
    parser.add_argument("--save", help="write the weights to this file at the end")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    # For equal arithmetic: by default cuDNN rounds the factors of a recurrent layer to TF32.
    torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(1)
    ids, types = tokens(arguments)
    batch, unroll = arguments.batch, arguments.unroll
    length = len(ids) // batch
    streams = torch.from_numpy(ids[: length * batch].astype(numpy.int64)).view(batch, length).t().contiguous().to(arguments.device)
    epoch = (length - 1) // unroll
    if epoch < 1:
        sys.exit(f"error: {len(ids)} tokens are too few for one batch")
    model = Model(types, arguments.hidden, arguments.layers, 0.1).to(arguments.device)
    optimiser = torch.optim.SGD(model.parameters(), lr=arguments.rate)
    zeros = lambda: torch.zeros(arguments.layers, batch, arguments.hidden, device=arguments.device)

    begun, log = None, []
    for step in range(arguments.warmup + arguments.steps):
        if step == arguments.warmup:
            begun = time.perf_counter()
        at = step % epoch * unroll
        state = (zeros(), zeros()) if at == 0 else (state[0].detach(), state[1].detach())
        x, targets = streams[at : at + unroll], streams[at + 1 : at + unroll + 1]
        optimiser.zero_grad()
        with torch.autocast(arguments.device, torch.bfloat16, enabled=arguments.precision == "bf16"):
            logits, state = model(x, state)
            loss = nn.functional.cross_entropy(logits, targets.flatten())
        (loss * unroll).backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), arguments.clip)
        optimiser.step()
        log.append((loss.item(), norm.item()))
    seconds = time.perf_counter() - begun
    if arguments.save:
        torch.save(model.state_dict(), arguments.save)
    print(
        json.dumps(
            {
                "what": f"train, PyTorch {torch.__version__} eager, {arguments.precision}, {arguments.device}",
                "value": arguments.steps * batch * unroll / seconds,
                "unit": "tokens/s",
                "threads": torch.get_num_threads(),
                "types": types,
                "last_loss": log[-1][0],
            }
        )
    )


if __name__ == "__main__":
    main()
