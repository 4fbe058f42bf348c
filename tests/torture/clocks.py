"""Clocks that are wrong by up to two thousand years, or that jump while the program runs."""

import time
from pathlib import Path

import oracle
from lab import FORK, LONGER, RUN, Stop

NAME, PER_HOUR = "clocks", 60
LIBRARY = "libfaketimeMT.so.1"


def library():
    """The path of faketime's library, if it is installed."""
    places = [Path(folder) / "faketime" / LIBRARY for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")]
    return next((path for path in places if path.exists()), None)


def why_not(lab):
    """Requires faketime."""
    return None if library() else "faketime is not installed (Debian: apt install faketime)"


def case(space):
    """A run under a wrong clock, then one under a correct clock."""
    draw = space.draw
    years = draw.choice([draw.uniform(-2000, -1), draw.uniform(-2000, -50), draw.uniform(-60, 0), draw.uniform(0, 100), 100, -2000, -57, -56.9, 11.15, 12])
    jumps = draw.random() < 0.4
    # The monotonic clock stays correct: in practice only the time of day is ever set.
    env = {"LD_PRELOAD": str(library()), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"}
    rate = space.root / "clock"
    if jumps:
        rate.write_text(offset(years))
        env["FAKETIME_TIMESTAMP_FILE"] = str(rate)
    else:
        env["FAKETIME"] = offset(years) + draw.choice(["", "", "", " x100", " x0.01"])
    space.history.append(f"clock: {years:.2f} years off, {'jumping' if jumps else env['FAKETIME']}\n")
    scene = draw.choice(["first", "first", "longer", "fork", "look"])
    if scene != "first":
        space.fill("first")
    words = {"first": RUN, "longer": LONGER, "fork": FORK, "look": draw.choice([("show", "run1"), ("runs",), ("reproduce", "run1"), ("report", "run1"), ("objects", "gc")])}[scene]
    process = space.start(*words, env=env)
    space.attacks += 1
    while jumps and process.alive():
        time.sleep(draw.random() * 0.7)
        years = draw.uniform(-2000, 100) if draw.random() < 0.6 else draw.uniform(-0.001, 0.001)
        rate.write_text(offset(years))
        space.history.append(f"the clock jumps to {years:.4f} years off after {time.monotonic() - process.began:.2f} s\n")
    ended = process.end()
    if space.hung:
        raise Stop
    space.manners(ended)
    if ended.code != 0 and ended.code != 101:
        text = f"{years:.1f} years off: exit {ended.code}: {ended.error() or ended.err[-300:]}"
        space.find("a wrong clock ends the program", text)
    space.orphans()
    if scene == "longer":
        space.finish(["first", "longer"], LONGER, numbers=ended.code == 0)
    elif scene == "fork":
        space.finish("fork", FORK, numbers=ended.code == 0)
    else:
        space.finish("first", numbers=ended.code == 0 or scene == "look")
    with oracle.reading(space.database) as c:
        odd = [row for row in c.execute("SELECT id, seconds FROM runs WHERE seconds < 0 OR seconds > 1000").fetchall()]
    if odd:
        space.find("a clock's jump counts as work", f"run{odd[0][0]}: {odd[0][1]} s")


def offset(years):
    """An offset in faketime's syntax."""
    return f"{'+' if years >= 0 else '-'}{abs(years) * 365.2425 * 86400:.0f}"
