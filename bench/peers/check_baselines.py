#!/usr/bin/env python3
"""Recomputes a run's baselines with dictionaries of n-grams, and compares them with the view run_baselines.

    check_baselines.py [run42]                          # exit code 1 if they differ

Follows the textbook (Chen and Goodman 1999, modified Kneser–Ney, interpolated), with lists and dictionaries; the
program sorts instead. 1e-9 nats is allowed, because dictionaries add in another order. Requires numpy; not part of
`make test`.

--lines makes n-grams end at a line's end, whose token then takes the place of <s>, as in published figures. Nothing is
compared in that case.
"""

import argparse
import math
import sys
from collections import Counter, defaultdict

from recorded import Run, add_arguments

ALLOWED = 1e-9


def windows(tokens, order, end):
    """Each token with up to `order` − 1 tokens before it; with `end`, none before the last `end` among them."""
    for i, token in enumerate(tokens):
        start = max(0, i - order + 1)
        if end is not None:
            ends = [j for j in range(start, i) if tokens[j] == end]
            start = ends[-1] if ends else start
        yield tuple(tokens[start:i]), token


class KneserNey:
    def __init__(self, train, order, types, end=None):
        self.order, self.types, self.end = order, types, end
        occurrences = [Counter() for _ in range(order + 1)]
        before = [defaultdict(set) for _ in range(order + 1)]
        for context, token in windows(train, order, end):
            whole = (*context, token)
            for n in range(1, len(whole) + 1):
                gram = whole[-n:]
                occurrences[n][gram] += 1
                # At the start of the stream, or of a line, the start itself counts as one preceding token.
                before[n][gram].add(whole[-n - 1] if n < len(whole) else None)
        self.counts = [None]
        for n in range(1, order + 1):
            # For n-grams that start with a line's end, all occurrences count, as in SRILM.
            raw = lambda gram: n == order or gram[0] == end and n > 1
            self.counts.append({gram: c if raw(gram) else len(before[n][gram]) for gram, c in occurrences[n].items()})
        self.discounts, self.behind = [None], [None]
        for n in range(1, order + 1):
            of = Counter(self.counts[n].values())
            self.discounts.append(self.discount([0, of[1], of[2], of[3], of[4]]))
            behind = defaultdict(lambda: [0, 0, 0, 0])  # the sum of counts; how many words have 1, 2, 3 or more
            for gram, count in self.counts[n].items():
                behind[gram[:-1]][0] += count
                behind[gram[:-1]][min(count, 3)] += 1
            self.behind.append(behind)

    @staticmethod
    def discount(n):
        if 0 in n[1:]:
            return [0, 0.5, 1, 1.5]
        y = n[1] / (n[1] + 2 * n[2])
        found = [0] + [j - (j + 1) * y * n[j + 1] / n[j] for j in (1, 2, 3)]
        return found if all(0 < found[j] <= j for j in (1, 2, 3)) else [0, 0.5, 1, 1.5]

    def probability(self, context, token):
        p = 1 / self.types
        for n in range(1, len(context) + 2):
            h = context[len(context) - n + 1 :]
            if h not in self.behind[n]:
                break
            total, *words = self.behind[n][h]
            count, d = self.counts[n].get((*h, token), 0), self.discounts[n]
            p = (count - d[min(count, 3)]) / total + sum(map(math.prod, zip(d[1:], words))) / total * p
        return p

    def loss(self, tokens):
        scored = list(windows(tokens, self.order, self.end))[1:]
        return -math.fsum(math.log(self.probability(*each)) for each in scored) / len(scored)


class Unigram:
    def __init__(self, train, types):
        counts = Counter(train)
        unseen = types - len(counts)
        total = len(train) + (unseen > 0)
        self.share = lambda token: counts[token] / total if counts[token] else 1 / unseen / total

    def loss(self, tokens):
        return -math.fsum(math.log(self.share(token)) for token in tokens[1:]) / (len(tokens) - 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--lines", action="store_true", help="end n-grams at line ends, and compare nothing")
    parser.add_argument("--splits", default="train,valid,test", help="splits to score (default: %(default)s)")
    args = parser.parse_args()
    run = Run(args.db, args.run, args.store)
    query = "SELECT split, model, n, loss FROM run_baselines WHERE run = ? ORDER BY n, split"
    rows = run.base.execute(query, (run.number,)).fetchall()
    if not rows:
        sys.exit(f"error: run{run.number} has no baselines\nhint: run its experiment again")
    ids = {split: run.ids(split).tolist() for split in ("train", "valid", "test")}
    train = ids["train"] = ids["train"][: int(run.params.get("baselines.tokens", 50_000_000))]
    types = read_types(run.object("vocab", "vocab"))
    end = types.index(run.params["tokenize.eos"]) if args.lines else None
    models, worst = {}, 0.0
    for split, name, n, recorded in rows:
        if split not in args.splits.split(",") or n == 0:
            continue
        if name not in models:
            models[name] = Unigram(train, len(types)) if n == 1 else KneserNey(train, n, len(types), end)
        loss = models[name].loss(ids[split])
        print(f"{split:5} {name:8} {loss:.12f} nats, perplexity {math.exp(loss):.3f}; recorded {recorded:.12f}")
        worst = max(worst, abs(loss - recorded))
    if args.lines:
        return
    print(f"largest difference {worst:.1e} (allowed {ALLOWED:.0e})")
    sys.exit(worst > ALLOWED)


def read_types(path):
    """The types of a types file (docs/stage-protocol.md), in the order of their ids."""
    data = path.read_bytes()
    at = 12 + int.from_bytes(data[8:12], "little")
    count, types = int.from_bytes(data[at : at + 4], "little"), []
    at += 4
    for _ in range(count):
        length = int.from_bytes(data[at + 8 : at + 12], "little")
        types.append(data[at + 12 : at + 12 + length].decode())
        at += 12 + length
    return types


if __name__ == "__main__":
    main()
