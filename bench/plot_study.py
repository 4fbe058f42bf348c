#!/usr/bin/env python3
"""Draws the loss curves of a study as an SVG, from the record alone.

    plot_study.py experiments.db STUDY > docs/lr_study.svg

One line a run: the mean loss of every block of steps, over a band from the block's least to its greatest loss, so that
no spike is averaged away. Dashed baselines: ln V, the loss of a uniform guess, and on valid the losses of models that
count n-grams; of a record from before those, the unigram entropy of train. The axis is linear in nats and ends a little above ln V; a curve
that leaves it is said to, with its peak. Needs nothing beyond the standard library.
"""

import json
import math
import sqlite3
import sys
from html import escape

WIDTH, HEIGHT = 860, 440
LEFT, RIGHT, TOP, BOTTOM = 56, 160, 44, 46
BLOCKS = 125

# Okabe and Ito's palette, which colour-blind readers tell apart; its yellow is too faint on white.
COLOURS = ["#d55e00", "#e69f00", "#009e73", "#0072b2", "#cc79a7", "#56b4e9", "#777777"]

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 14px; font-weight: 600 }
  .faint { fill: #6e7781 }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .base { stroke: #6e7781; stroke-width: 1; stroke-dasharray: 5 4 }
  .line { fill: none; stroke-width: 1.8; stroke-linejoin: round }
  .band { opacity: .18 }
  .ground { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .faint { fill: #8b949e }
    .grid { stroke: #30363d }
    .base { stroke: #8b949e }
    .band { opacity: .28 }
    .ground { fill: #0d1117 }
  }
"""


def read(path, study):
    """The study's runs as (label, losses), and the baselines. A loss that is not finite is None."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    newest = "SELECT max(s.id) FROM studies s WHERE s.name = ?"
    rows = db.execute(f"SELECT run_id, point FROM study_runs WHERE study_id = ({newest}) ORDER BY position", [study])
    runs = []
    for run, point in rows.fetchall():
        label = " ".join(f"{name.rsplit('.')[-1]} {value:g}" if isinstance(value, float) else f"{name} {value}"
                         for name, value in json.loads(point).items())
        losses = [loss for (loss,) in db.execute("SELECT loss FROM run_steps WHERE run = ? ORDER BY step", [run])]
        runs.append((label.replace("learning_rate", "rate"), losses))
    if not runs:
        sys.exit(f"error: {path} holds no study {study}")
    names = {"uniform": "ln V", "unigram": "unigram", "bigram": "bigram"}
    counted = "SELECT DISTINCT model, loss FROM run_baselines JOIN study_runs ON run = run_id WHERE study_id = ({})"
    has_view = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'run_baselines'").fetchone()[0]
    lines = db.execute(counted.format(newest) + " AND split = 'valid' ORDER BY n", [study]).fetchall() if has_view else []
    if lines:
        return runs, [(names.get(model, model.upper()), loss) for model, loss in lines]
    (report,) = db.execute(
        "SELECT e.report FROM run_stages s JOIN executions e ON e.id = s.execution_id JOIN study_runs r USING (run_id)"
        f" WHERE s.stage = 'vocab' AND r.study_id = ({newest})", [study]).fetchone()
    facts = json.loads(report)
    return runs, [("ln V", facts["ln_types"]), ("unigram entropy", facts["unigram_entropy"])]


def blocks(losses, size):
    """(middle, mean, least, greatest) of each block's finite losses; blocks without one are left out."""
    for start in range(0, len(losses), size):
        finite = [loss for loss in losses[start : start + size] if loss is not None]
        if finite:
            yield start + size / 2, sum(finite) / len(finite), min(finite), max(finite)


def draw(study, runs, baselines):
    # A run without one finite loss has no line; its name says so.
    lineless = [label for label, losses in runs if not any(loss is not None for loss in losses)]
    runs = [(label, losses) for label, losses in runs if label not in lineless]
    if not runs:
        sys.exit(f"no run of {study} has a finite loss")
    steps = max(len(losses) for _, losses in runs)
    least = min(loss for _, losses in runs for loss in losses if loss is not None)
    heights = [loss for _, loss in baselines]
    low, high = math.floor(min(least, *heights)), math.ceil(max(heights)) + 1
    x = lambda step: LEFT + step / steps * (WIDTH - LEFT - RIGHT)
    y = lambda loss: TOP + (high - min(loss, high)) / (high - low) * (HEIGHT - TOP - BOTTOM)
    right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>Training loss of the study {escape(study)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{LEFT}" y="22">{escape(study)}: training loss, nats a token</text>',
        f'<clipPath id="frame"><rect x="{LEFT}" y="{TOP}" width="{right - LEFT}" height="{floor - TOP}"/></clipPath>',
    ]
    for nats in range(low, high + 1):
        out.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{y(nats):.1f}" y2="{y(nats):.1f}"/>')
        out.append(f'<text class="faint" x="{LEFT - 8}" y="{y(nats) + 4:.1f}" text-anchor="end">{nats}</text>')
    for i in range(5):
        step = steps * i // 4
        out.append(f'<text class="faint" x="{x(step):.1f}" y="{floor + 18}" text-anchor="middle">{step:,}</text>')
    out.append(f'<text class="faint" x="{(LEFT + right) / 2:.0f}" y="{floor + 36}" text-anchor="middle">step</text>')

    size = max(1, steps // BLOCKS)
    ends = []
    for (label, losses), colour in zip(runs, COLOURS * len(runs)):
        parts = list(blocks(losses, size))
        upper = [f"{x(at):.1f},{y(most):.1f}" for at, _, _, most in parts]
        lower = [f"{x(at):.1f},{y(least):.1f}" for at, _, least, _ in reversed(parts)]
        # Its means are not cut off at the frame, so that a line leaves it with its own slope.
        beyond = lambda loss: TOP + (high - loss) / (high - low) * (HEIGHT - TOP - BOTTOM)
        middle = [f"{x(at):.1f},{beyond(mean):.1f}" for at, mean, _, _ in parts]
        if losses[0] is not None:
            middle.insert(0, f"{x(0):.1f},{beyond(losses[0]):.1f}")
        out.append(f'<g clip-path="url(#frame)"><polygon class="band" fill="{colour}" points="{" ".join(upper + lower)}"/>')
        out.append(f'<polyline class="line" stroke="{colour}" points="{" ".join(middle)}"/></g>')
        last = parts[-1][1]
        peak = max(loss for loss in losses if loss is not None)
        words = f"{label}: {last:.2f}" if last <= high else f"{label}: up to {peak:.0f}"
        ends.append([y(last), words, f"fill:{colour};font-weight:600"])
    ends += [[floor - 15 * i, f"{label}: never finite", ""] for i, label in enumerate(lineless)]
    for name, nats in baselines:
        out.append(f'<line class="base" x1="{LEFT}" x2="{right}" y1="{y(nats):.1f}" y2="{y(nats):.1f}"/>')
        ends.append([y(nats), f"{name}: {nats:.2f}", ""])
    # Labels stand at their lines' ends, pushed down where they would overlap.
    ends.sort(key=lambda end: end[0])
    for above, end in zip(ends, ends[1:]):
        end[0] = max(end[0], above[0] + 15)
    for at, words, style in ends:
        style = f' style="{style}"' if style else ""
        out.append(f'<text x="{right + 8}" y="{at + 4:.1f}"{style}>{escape(words)}</text>')
    out.append("</svg>")
    return "\n".join(out)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: plot_study.py experiments.db STUDY > FILE.svg")
    print(draw(sys.argv[2], *read(*sys.argv[1:])))
