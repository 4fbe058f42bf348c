#!/usr/bin/env python3
"""Tortures `pipeline` for an hour and reports what was lost, duplicated or changed. See README.md beside this script.

    make torture                                              # an hour, on all cores
    make torture TORTURE='--minutes 5 --only kills,disks'     # some classes, for five minutes
    make torture TORTURE='--seed 1 --only kills --case 17'    # repeat one case

Requires Linux and Python 3.9 (with SQLite 3.37). Full disks, power cuts and read-only disks require root, clocks
require faketime, failing system calls require a C compiler; a class whose requirements are missing is skipped, and the
table says so. Exit codes: 0 nothing found, 1 something found, 2 wrong usage.
"""

import argparse
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

import clocks
import damage
import disks
import faults
import kills
import liars
import mutations
import power
import readonly
import syscalls
from lab import ROOT, Lab, Space, Stop

CLASSES = [kills, disks, syscalls, damage, mutations, liars, clocks, power, readonly]
INSIDE = "TORTURE_INSIDE"


def arguments():
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [module.NAME for module in CLASSES]
    parser.add_argument("--minutes", type=float, default=60, help="minutes to run [60]")
    parser.add_argument("--seed", type=int, default=1, help="seed for random moments and places [1]")
    parser.add_argument("--only", default=",".join(names), help=f"classes, separated by commas: {', '.join(names)}")
    parser.add_argument("--case", type=int, help="run one case of the one class that --only names")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="cases to run at once [one per core]")
    parser.add_argument(
        "--pipeline", type=Path, default=ROOT / "target/release/pipeline", help="the program, with its worker beside it"
    )
    parser.add_argument(
        "--keep", type=Path, default=ROOT / "target/torture-found", help="where to keep findings [target/torture-found]"
    )
    parser.add_argument(
        "--check-oracle", action="store_true", help="break copies of a record and check that each fault is found"
    )
    options = parser.parse_args()
    options.only = options.only.split(",")
    unknown = [name for name in options.only if name not in names]
    if unknown:
        parser.error(f"not a class: '{unknown[0]}'; allowed: {', '.join(names)}")
    if options.case is not None and len(options.only) != 1:
        parser.error("--case requires --only with one class")
    options.pipeline, options.keep = options.pipeline.resolve(), options.keep.absolute()
    if sqlite3.sqlite_version_info < (3, 37):
        parser.error(
            f"{sys.executable} has SQLite {sqlite3.sqlite_version}; 3.37 or later is required to read a record"
        )
    if not options.pipeline.is_file():
        parser.error(f"{options.pipeline} does not exist; build it with: make build")
    options.again = f"--seed {options.seed}"
    return options


def enter_a_namespace():
    """Restarts this script in a mount namespace, so that its mounts are private and vanish with it."""
    if os.environ.get(INSIDE):
        return
    for words in (["-m"], ["-rm"]):
        probe = ["unshare", *words, "sh", "-c", "mount -t tmpfs none /mnt"]
        if shutil.which("unshare") and subprocess.run(probe, capture_output=True).returncode == 0:
            os.environ[INSIDE] = "1"
            os.execvp("unshare", ["unshare", *words, "--propagation", "private", sys.executable, *sys.argv])


class Tally:
    """What a class of attacks has done and found."""

    def __init__(self, module, lab):
        self.module, self.why = module, module.why_not(lab)
        self.cases = self.attacks = self.began = 0
        self.seconds = 0.0
        self.found = {}


def attack(lab, tally, number):
    """Runs one case."""
    space = Space(lab, tally.module.NAME, number)
    began = time.monotonic()
    try:
        tally.module.case(space)
    except Stop:
        pass
    except Exception:  # noqa: BLE001, an error in the harness must not look like a sound program
        space.find("the harness failed", traceback.format_exc())
    finally:
        space.close()
    with lab.lock:
        tally.cases += 1
        tally.attacks += space.attacks
        tally.seconds += time.monotonic() - began
        for kind, text in space.findings:
            found = tally.found.setdefault(kind, [0, number, text])
            if not found[0]:
                say(f"FOUND {tally.module.NAME} {number}: {kind}: {text[:400]}")
            found[0] += 1


def say(text):
    """Prints a line and flushes."""
    print(text, flush=True)


def work(lab, tallies, until):
    """Attacks with the class that is furthest behind its share, until the time is up."""
    while True:
        with lab.lock:
            left = until - time.monotonic()
            if left <= 0 or lab.stopped:
                return
            # A running case counts as many attacks as the finished ones on average.
            tally = min(
                tallies,
                key=lambda t: (
                    (t.attacks + (t.began - t.cases) * max(1.0, t.attacks / max(1, t.cases))) / t.module.PER_HOUR
                ),
            )
            number = tally.began
            tally.began += 1
        attack(lab, tally, number)


def watch(tallies, threads, until):
    """Prints progress and the time left."""
    last = time.monotonic()
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.2)
        if time.monotonic() - last > 20:
            last = time.monotonic()
            counts = ", ".join(f"{t.module.NAME} {t.attacks}" for t in tallies)
            found = sum(sum(f[0] for f in t.found.values()) for t in tallies)
            left = until - last
            ahead = f"{int(left // 60)}:{int(left % 60):02d} left" if left > 0 else "finishing the last cases"
            say(f"{ahead}: {counts}; {found} found")


def interrupt(_number, _frame):
    """Lets Ctrl-C and SIGTERM end the script cleanly."""
    raise KeyboardInterrupt


def table(tallies, lab):
    """Prints what was done and found, class by class."""
    say(f"\n{'class':<10} {'attacks':>8} {'per hour':>8} {'cases':>6} {'s/case':>7}  found")
    for tally in tallies:
        name = tally.module.NAME
        if tally.why:
            say(f"{name:<10} {'–':>8} {tally.module.PER_HOUR:>8} {'–':>6} {'–':>7}  skipped: {tally.why}")
            continue
        mean = tally.seconds / max(1, tally.cases)
        found = sum(f[0] for f in tally.found.values()) or "nothing"
        say(f"{name:<10} {tally.attacks:>8} {tally.module.PER_HOUR:>8} {tally.cases:>6} {mean:>7.1f}  {found}")
    for tally in tallies:
        for kind, (count, number, text) in sorted(tally.found.items()):
            times = "once" if count == 1 else f"{count} times"
            say(f"\n{tally.module.NAME}: {kind}, {times}, first in case {number}:\n  {text[:600]}")
            say(f"  make torture TORTURE='{lab.arguments} --only {tally.module.NAME} --case {number}'")


def main():
    options = arguments()
    enter_a_namespace()
    # Even if a shell started this script in the background, with Ctrl-C ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        tempfile.tempdir = folder
        lab = Lab(options, Path(folder))
        if options.check_oracle:
            blind = faults.check(lab, say)
            say(f"faults not found: {blind}" if blind else "every fault was found")
            sys.exit(1 if blind else 0)
        tallies = [Tally(module, lab) for module in CLASSES if module.NAME in options.only]
        able = [tally for tally in tallies if not tally.why]
        began = time.monotonic()
        if options.case is not None:
            for tally in able:
                attack(lab, tally, options.case)
        elif able:
            say("computing the undisturbed records")
            for name in ("first", "longer", "fork"):
                lab.reference(name)
            began = time.monotonic()
            until = began + 60 * options.minutes
            threads = [threading.Thread(target=work, args=(lab, able, until), daemon=True) for _ in range(options.jobs)]
            for thread in threads:
                thread.start()
            try:
                watch(able, threads, until)
            except KeyboardInterrupt:
                # Cases must finish, because each removes what it started and mounted.
                lab.stopped = True
                say("interrupted; finishing the last cases")
                watch(able, threads, 0)
        lab.close()
        table(tallies, lab)
    found = sum(sum(f[0] for f in tally.found.values()) for tally in tallies)
    attacks = sum(tally.attacks for tally in tallies)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    minutes, cpu = (time.monotonic() - began) / 60, (usage.ru_utime + usage.ru_stime) / 60
    spent = f"{attacks} attacks in {minutes:.1f} minutes ({cpu:.1f} CPU minutes)"
    if found:
        say(f"\n{spent}: {found} findings; the folders of the first ones are in {options.keep}")
        sys.exit(1)
    say(f"\n{spent}: nothing was lost, duplicated or changed" if attacks else "\nnothing was attacked")


if __name__ == "__main__":
    main()
