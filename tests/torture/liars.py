"""Workers that lie: a proxy passes on what the real worker says, with one change (proxy.py). No lie may be recorded as
true, no wait may be endless, and a run with an honest worker afterwards must give the same bits.
"""

import json
import os
import shutil
import signal
import time

import oracle
from lab import HERE, RUN, Stop
from process import marked

NAME, PER_HOUR = "liars", 83
STEP = [
    {"set": {"loss": -1.0}}, {"set": {"loss": -1e-300}}, {"set": {"tokens": 2**64 - 1}}, {"set": {"tokens": 0}}, {"add": {"tokens": 1}}, {"add": {"step": 1}},
    {"add": {"step": -1}}, {"set": {"step": 2**63}}, {"set": {"step": 2**64 - 1}}, {"add": {"epoch": 1}}, {"set": {"epoch": 2**63}},
    {"set": {"learning_rate": 0.5}}, {"set": {"learning_rate": 0}}, {"set": {"learning_rate": -1}}, {"set": {"seconds": -1}}, {"set": {"seconds": 1e300}},
    {"set": {"grad_norm": -1}}, {"set": {"step": -1}}, {"set": {"loss": "low"}}, {"set": {"loss": None}}, {"set": {"step": 1.5}}, {"act": "left_out"}, {"act": "twice"},
]  # fmt: skip
CHECKPOINT = [
    {"add": {"step": 1}}, {"set": {"step": 0}}, {"set": {"step": 10**6}}, {"set": {"weights": "/etc/passwd"}}, {"set": {"state": "/dev/zero"}}, {"set": {"weights": "/nowhere"}},
    {"set": {"weights": ""}}, {"set": {"weights": "."}}, {"set": {"state": "FIFO"}}, {"set": {"weights": "LINK"}}, {"act": "left_out"}, {"act": "twice"},
]  # fmt: skip
DONE = [
    {"add": {"order": 1}}, {"set": {"order": 0}}, {"set": {"order": 2**64 - 1}}, {"add": {"reached": -1}}, {"add": {"reached": 100}}, {"set": {"reached": None}},
    {"set": {"stopped": True}}, {"act": "twice"}, {"set": {"peak_memory": 2**64 - 1}}, {"set": {"report": {"\x1b[2J": "\x1b[31m"}}},
]  # fmt: skip
EVALUATION = [
    {"set": {"split": "other"}}, {"set": {"split": "\x1b[2J"}}, {"set": {"loss": -0.5}}, {"set": {"tokens": 0}}, {"add": {"tokens": 1}}, {"set": {"tokens": 2**64 - 1}},
    {"set": {"seconds": -1}}, {"act": "left_out"}, {"act": "twice"}, {"set": {"step": 10**9}},
]  # fmt: skip
FRAMES = [
    "torn", "half_length", "too_long", "long_promise", "zero_length", "garbage", "no_utf8", "unknown", "more_fields", "fewer_fields", "deep", "plain_text", "leave_0",
    "leave_3", "crash", "child", "child_after_all", "chatter", "events", "huge_event", "failed",
]  # fmt: skip
DESCRIBE = [
    {"act": "endless"}, {"act": "empty"}, {"act": "fails"}, {"act": "killed"}, {"act": "garbage"}, {"act": "child"}, {"act": "others", "set": {"protocol": 99}},
    {"act": "others", "set": {"libtorch": "\x1b[2J"}}, {"act": "others", "set": {"stages": {"train": 10**6}}}, {"act": "others", "set": {"devices": []}},
]  # fmt: skip
# Seconds that a program may take to end when it is asked to, or when its worker is gone.
LEAVE = 45.0
# Acts after which the run may succeed: everything that is recorded is true.
TRUE = ("chatter", "child_after_all")


def why_not(lab):
    """Requires nothing."""
    return None


def lie(draw):
    """One lie, and which reply of its kind tells it."""
    kind = draw.choices(["step", "checkpoint", "done", "evaluation", "frame", "silent", "hello", "describe"], [8, 4, 4, 3, 8, 2, 1, 2])[0]
    if kind == "step":
        return {"what": "step", "nth": draw.randint(1, 1100), **draw.choice(STEP)}
    if kind == "checkpoint":
        return {"what": "checkpoint", "nth": draw.randint(1, 11), **draw.choice(CHECKPOINT)}
    if kind == "done":
        return {"what": "done", "nth": draw.randint(1, 4), **draw.choice(DONE)}
    if kind == "evaluation":
        return {"what": "evaluation", "nth": draw.randint(1, 12), **draw.choice(EVALUATION)}
    if kind == "frame":
        what = draw.choice(["hello", "step", "step", "checkpoint", "evaluation", "done"])
        return {"what": what, "nth": 1 if what == "hello" else draw.randint(1, 8), "act": draw.choice(FRAMES)}
    if kind == "silent":
        return {"what": "step", "nth": draw.randint(1, 500), "act": draw.choice(["silence", "stopped", "deaf"])}
    if kind == "hello":
        return {"what": "hello", "nth": 1, "set": draw.choice([{"libtorch": "9"}, {"stages": {"train": 1}}, {"protocol": 0}, {"version": "\x1b[2J"}, {"cpu_capability": "ABACUS"}])}
    return {"what": "describe", "nth": 1, **draw.choice(DESCRIBE)}


def case(space):
    """A run with a lying worker, then one with an honest worker."""
    told = space.root / "told"
    what = lie(space.draw)
    for name, value in dict(what.get("set", {})).items():
        if value == "FIFO":
            os.mkfifo(space.root / "fifo")
            what["set"][name] = str(space.root / "fifo")
        elif value == "LINK":
            (space.root / "link").symlink_to("link")
            what["set"][name] = str(space.root / "link")
    space.history.append(f"lie: {json.dumps(what)}\n")
    proxy = space.root / "pipeline-neural"
    shutil.copy(HERE / "proxy.py", proxy)
    env = {"PIPELINE_NEURAL": str(proxy), "TORTURE_REAL": space.lab.worker, "TORTURE_LIE": json.dumps(what), "TORTURE_TOLD": str(told)}
    before = len(space.findings)
    silent = what.get("act") in ("silence", "stopped", "deaf")
    process = space.start(*RUN, env=env)
    if silent:
        until = time.monotonic() + 30
        while process.alive() and not (told.exists() or what["act"] == "deaf") and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(1.5)
        ask_to_end(space, process)
    ended = process.end(max(space.lab.patience(), 60 + 2 * LEAVE) if silent else None)
    described = json.dumps({key: value for key, value in what.items() if key != "nth"})
    if space.hung:
        name_it(space, before, described)
        raise Stop
    # Asked to end before anything has started, the program needs no message.
    at_once = ended.code in (-15, -9) or ended.code == 130 and not ended.err.strip()
    if not (silent and at_once):
        space.manners(ended)
    if told.exists():
        space.attacks += 1
        if ended.code == 0 and what.get("act") not in TRUE and "progress" not in described:
            honest = compare_quietly(space)
            if honest:
                space.find("a lie is accepted", f"exit 0; {honest[0][0]}: {honest[0][1]}")
        if ended.seconds > LEAVE and not silent:
            space.find("a long wait", f"{ended.seconds:.0f} s")
    # Children that the proxy leaves on purpose are not the program's to end.
    left_child = "child" in str(what.get("act")) or silent
    if left_child:
        for pid in marked(space.mark):
            os.kill(pid, signal.SIGKILL)
    space.orphans()
    if space.database.exists() and space.database.stat().st_size:
        space.find_all(oracle.sound(space.database))
        kinds = ("an impossible value was recorded", "running without a process")
        space.find_all(found for found in oracle.examine(space.database, space.store) if found[0] in kinds)
    size = sum(path.stat().st_size for path in (space.store / "logs").glob("*")) if (space.store / "logs").exists() else 0
    if size > 32 << 20:
        space.find("an endless log", f"{size >> 20} MiB of a worker's stderr are kept")
    for words in (("show", "run1", "--log"), ("runs",)):
        if space.database.exists():
            space.run(*words, codes=(0, 1, 2))
    ended_before = oracle.ended(space.database)
    space.finish("first", numbers=False)
    space.find_all(oracle.changed(ended_before, oracle.ended(space.database)))
    name_it(space, before, described)


def compare_quietly(space):
    """What differs from an undisturbed record right after the run with a lying worker."""
    try:
        return oracle.compare(space.lab.reference("first").picture, oracle.picture(space.database), numbers=False)
    except Exception as error:  # noqa: BLE001
        return [("a damaged database", str(error))]


def name_it(space, before, described):
    """Adds the lie to each new finding."""
    space.findings[before:] = [(kind, f"{described}: {text}") for kind, text in space.findings[before:]]


def ask_to_end(space, process):
    """Checks that one SIGTERM ends the program in bounded time, even if its worker is silent."""
    if not process.alive():
        return
    process.signal(signal.SIGTERM)
    until = time.monotonic() + LEAVE
    while process.alive() and time.monotonic() < until:
        time.sleep(0.05)
    if process.alive():
        text = f"{LEAVE:.0f} s after SIGTERM: {process.said()[1][-200:]}"
        space.find("the first SIGTERM does not end the program", text)
        process.signal(signal.SIGTERM)
