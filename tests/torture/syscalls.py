"""System calls that fail: one call, or all from one on, in the program or in its worker (shim.c, by LD_PRELOAD). Also
limits on memory and open files that are too low.
"""

import errno
import resource
import shutil
import subprocess

import oracle
from lab import HERE, LONGER, RUN, Stop

NAME, PER_HOUR = "syscalls", 105
# The errors that each call can return.
ERRORS = {
    "piped_write": ("EINTR",),
    "piped_read": ("EINTR",),
    "open": ("EIO", "ENOSPC", "EMFILE", "ENFILE", "EINTR", "ENOMEM"),
    "write": ("EIO", "ENOSPC", "EINTR", "EDQUOT"),
    "pwrite": ("EIO", "ENOSPC", "EINTR", "EDQUOT"),
    "read": ("EIO", "EINTR"),
    "pread": ("EIO", "EINTR"),
    "fsync": ("EIO", "ENOSPC", "EINTR"),
    "rename": ("EIO", "ENOSPC"),
    "flock": ("ENOLCK", "EINTR", "EIO"),
    "getrandom": ("EAGAIN", "EIO", "ENOSYS"),
    "mmap": ("ENOMEM", "EAGAIN"),
    "thread": ("EAGAIN",),
    "truncate": ("EIO", "ENOSPC", "EINTR"),
    "unlink": ("EIO",),
    "mkdir": ("ENOSPC", "EIO"),
    "fcntl": ("EIO", "ENOLCK", "EINTR"),
    "close": ("EIO",),
    "chmod": ("EIO",),
    "pipe": ("EMFILE", "ENFILE"),
}
FULL = ("ENOSPC", "EDQUOT")


def why_not(lab):
    """Requires a C compiler."""
    if not shutil.which("cc"):
        return "cc is not installed"
    made = subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-w", "-o", lab.folder / "shim.so", HERE / "shim.c", "-ldl"], capture_output=True, text=True)
    return None if made.returncode == 0 else f"shim.c does not compile: {made.stderr.strip()[:200]}"


def calls(lab):
    """How many times each program makes each call, in an undisturbed run."""
    with lab.lock:
        if not hasattr(lab, "calls"):
            from lab import Space

            space = Space(lab, "counting", 0)
            env = {"LD_PRELOAD": str(lab.folder / "shim.so"), "TORTURE_COUNT": str(space.root / "counts")}
            space.run(*RUN, env=env)
            lab.calls = {}
            for line in (space.root / "counts").read_text().splitlines():
                who, *counts = line.split()
                kept = lab.calls.setdefault(who, {})
                for name, count in (part.split("=") for part in counts):
                    kept[name] = max(kept.get(name, 0), int(count))
            space.close()
        return lab.calls


def limited(space):
    """A run with too little address space or too few open files."""
    draw = space.draw
    if draw.random() < 0.6:
        kind, value, name = resource.RLIMIT_AS, int(draw.choice([draw.uniform(100, 900), draw.uniform(485, 515)]) * 1e6), "address space"
    else:
        kind, value, name = resource.RLIMIT_NOFILE, draw.randint(5, 40), "open files"
    space.history.append(f"limit of {name}: {value}\n")
    ended = space.run(*RUN, limits=[(kind, value)])
    if space.hung:
        space.findings = [(f"{kind} ({name})", f"limit {value}: {text}") for kind, text in space.findings]
        raise Stop
    if ended.code == 0:
        return
    space.attacks += 1
    if ended.code == 2:
        space.find("a limit counts as wrong input", f"{name} {value}: {ended.error()}")
    space.orphans()
    space.finish("first", numbers=False)


def case(space):
    """One or two runs in which calls fail, then one in which none do."""
    draw = space.draw
    if draw.random() < 0.15:
        return limited(space)
    counts = calls(space.lab)
    longer = draw.random() < 0.3
    if longer:
        space.fill("first")
    words = LONGER if longer else RUN
    same = True
    for _ in range(draw.choice([1, 2])):
        who = draw.choice([who for who in counts if any(counts[who].values())])
        function = draw.choice([name for name, count in counts[who].items() if count])
        error = draw.choice(ERRORS[function])
        nth, times = draw.randint(1, counts[who][function]), draw.choice([1, 1, 1, 1_000_000])
        if times > 1 and error == "EINTR":
            times = 3
        space.history.append(f"{function} of {who} fails with {error} from call {nth} on, {times} times\n")
        fired = space.root / "fired"
        if fired.exists():
            fired.unlink()
        env = {
            "LD_PRELOAD": str(space.lab.folder / "shim.so"),
            "TORTURE_WHO": who,
            "TORTURE_FAIL": f"{function}:{getattr(errno, error)}:{nth}:{times}",
            "TORTURE_FIRED": str(fired),
        }
        before, ended_before = oracle.seen(space.database), oracle.ended(space.database)
        ended = space.run(*words, env=env)
        if space.hung:
            space.findings = [(f"{kind} ({function} {error})", text) for kind, text in space.findings]
            raise Stop
        what = f"{function} of {who} failed with {error}, call {nth}, {times} times"
        space.findings = [(kind, text if " failed with " in text else f"{what}: {text}") for kind, text in space.findings]
        if function in ("mmap", "thread"):
            # Rust's own runtime panics, before `main` or when it starts a thread.
            excused = ("panicked at /rustc/", "/sys/")
            space.findings = [
                (kind, text) for kind, text in space.findings if kind != "a panic" or not all(word in text for word in excused)
            ]
        if not fired.exists():
            continue
        space.attacks += 1
        same = same and (ended.code == 0 or error in FULL)
        if ended.code == 2:
            space.find("a system error counts as wrong input", f"{what}: {ended.error()}")
        if ended.code == 0 and error == "EINTR" and ended.err.count("error: "):
            space.find("an error line and exit 0", ended.err[-300:])
        space.orphans()
        space.find_all(oracle.lost(before, oracle.seen(space.database)))
        if ended_before:
            space.find_all(oracle.changed(ended_before, oracle.ended(space.database)))
    ended_before = oracle.ended(space.database)
    space.finish(["first", "longer"] if longer else "first", words, numbers=same)
    space.find_all(oracle.changed(ended_before, oracle.ended(space.database)))
