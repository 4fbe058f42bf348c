"""Programs that run: with a time limit, in their own process group, found by a mark that their children inherit."""

import os
import re
import resource
import shlex
import signal
import subprocess
import time
from pathlib import Path

MARK = "TORTURE_MARK"


class Ended:
    """How a program ended."""

    def __init__(self, words, code, out, err, seconds):
        self.words, self.code, self.out, self.err, self.seconds = words, code, out, err, seconds

    def __str__(self):
        head = f"$ pipeline {shlex.join(self.words)}\nexit {self.code} after {self.seconds:.2f} s\n"
        return head + "".join(f"--- {n}\n{clip(t)}\n" for n, t in (("stdout", self.out), ("stderr", self.err)) if t)

    def error(self):
        """Its error line."""
        return next((line for line in self.err.splitlines() if line.startswith("error: ")), "")

    def executed(self):
        """The number of executed stages that the program reports."""
        if " is up to date (" in self.err:
            return 0
        match = re.search(r"(\d+) executed, ", self.err)
        return int(match[1]) if match else None


def clip(text, size=3000):
    """A text, shortened in the middle if it is long."""
    return text if len(text) <= size else f"{text[: size // 2]}\n… {len(text) - size} characters …\n{text[-size // 2 :]}"


class Process:
    """A running program, in its own process group, with its output in files."""

    def __init__(self, space, words, env=None, limits=(), program=None):
        self.space, self.words, self.began = space, [str(word) for word in words], time.monotonic()
        space.commands += 1
        self.files = [space.root / "output" / f"{space.commands}.{end}" for end in ("out", "err")]
        self.files[0].parent.mkdir(exist_ok=True)

        def limit():
            # No core dumps.
            for kind, value in ((resource.RLIMIT_CORE, 0), *limits):
                resource.setrlimit(kind, (value, value))
            # Under nohup, or as a background job of a shell, the program would inherit ignored signals.
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)

        with open(self.files[0], "wb") as out, open(self.files[1], "wb") as err:
            self.child = subprocess.Popen(
                [program or space.lab.program, *self.words], cwd=space.work, env=space.environment(env), stdin=subprocess.DEVNULL,
                stdout=out, stderr=err, start_new_session=True, preexec_fn=limit,
            )  # fmt: skip

    def alive(self):
        """Whether it runs."""
        return self.child.poll() is None

    def signal(self, number):
        """Sends it a signal."""
        if self.alive():
            self.child.send_signal(number)

    def workers(self):
        """Its living child processes."""
        return [pid for pid in marked(self.space.mark) if pid != self.child.pid and parent(pid) == self.child.pid]

    def said(self):
        """What it has printed so far, to stdout and to stderr."""
        return [path.read_text(errors="replace") if path.exists() else "" for path in self.files]

    def end(self, patience=None):
        """Waits for its end; a time-out is a finding."""
        patience = patience or self.space.lab.patience()
        try:
            self.child.wait(max(0.1, self.began + patience - time.monotonic()))
        except subprocess.TimeoutExpired:
            where = "\n".join(stack(pid) for pid in [self.child.pid, *self.workers()])
            self.space.find("a hang", f"no end after {patience:.0f} s: pipeline {shlex.join(self.words)}\n{self.said()[1][-800:]}\n{where}")
            for pid in [self.child.pid, *marked(self.space.mark)]:
                end(pid)
            self.child.wait()
            self.space.hung = True
        out, err = self.said()
        ended = Ended(self.words, self.child.returncode, out, err, time.monotonic() - self.began)
        self.space.history.append(str(ended))
        return ended


def parent(pid):
    """The id of a process's parent."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rsplit(")", 1)[1].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def stack(pid):
    """What a process's threads are waiting in."""
    lines = []
    for task in sorted(Path(f"/proc/{pid}/task").glob("*"))[:8]:
        try:
            state = (task / "stat").read_text(errors="replace").rsplit(")", 1)[1].split()[0]
            lines.append(f"  {pid} {(task / 'comm').read_text().strip()} {state} {(task / 'wchan').read_text()} {(task / 'syscall').read_text().strip()}")
        except OSError:
            pass
    return "\n".join(lines)


def marked(mark):
    """The living processes of a case, whatever their parents."""
    sign = f"{MARK}={mark}\0".encode()
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if sign in Path(f"/proc/{entry}/environ").read_bytes() + b"\0":
                    found.append(int(entry))
            except OSError:
                pass
    return found


def end(pid):
    """Kills a process of ours."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
