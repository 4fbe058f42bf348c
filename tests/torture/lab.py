"""Where attacks take place: folders, programs with a time limit, undisturbed reference records, and kept findings."""

import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import oracle
from process import MARK, Process, end, marked, stack

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
# Seconds: a command that takes longer on an idle machine counts as a hang.
PATIENCE = 60.0
KEPT_OF_A_KIND = 2
KEPT_IN_ALL = 40

EXPERIMENT = """\
name = "attack"
seed = 1
[corpus]
text = "text.txt"
split = { valid = 0.1, test = 0.1 }
[tokenize]
lowercase = true
[vocab]
size = 300
[batch]
size = 8
unroll = 8
[train]
embedding = 16
hidden = 16
optimizer = "adam"
dropout = 0.2
schedule = { kind = "plateau", every = 100 }
steps = 1100
checkpoints = { every = 100, keep = "all" }
[evaluate]
[sample]
length = 12
decode = ["greedy", { temperature = 1.0 }]
[study]
"train.learning_rate" = [0.01, 0.003, 1e38]
"""
RUN = ("run", "attack.toml", "--jobs", "2", "--threads", "1")
LONGER = RUN + ("--set", "train.steps=1700")
FORK = ("fork", "run1", "--at", "300", "--set", "train.learning_rate=0.02", "--name", "forked", "--threads", "1")
# The undisturbed records, each made once by a list of commands.
RECORDS = {"first": [RUN], "longer": [RUN, LONGER], "fork": [RUN, FORK]}


class Stop(Exception):
    """Ends a case whose further checks would be meaningless."""


class Space:
    """A case's own folder: corpus, experiment, record, store."""

    def __init__(self, lab, name, number):
        self.lab, self.name, self.number = lab, name, number
        self.draw = random.Random(f"{lab.seed} {name} {number}")
        self.mark = f"{os.getpid()}-{name}-{number}"
        self.root = Path(tempfile.mkdtemp(prefix=f"{name}-{number}-", dir=lab.folder))
        self.work = self.root / "work"
        self.findings, self.history, self.undo = [], [], []
        self.attacks = self.commands = 0
        self.hung = self.kept = False
        self.work.mkdir()
        (self.root / "temporary").mkdir()
        lab.furnish(self.work)

    database = property(lambda self: self.work / "experiments.db")
    store = property(lambda self: self.work / "data/store")

    def environment(self, more=None):
        """The harness's environment, without the program's variables and with the case's mark."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("PIPELINE_")}
        env.update({MARK: self.mark, "TMPDIR": str(self.root / "temporary"), "PIPELINE_CACHE": str(self.root / "cache")})
        env.update(more or {})
        return env

    def start(self, *words, **how):
        """Starts the program."""
        return Process(self, words, **how)

    def run(self, *words, patience=None, codes=None, **how):
        """Runs the program to its end and checks how it ended."""
        ended = self.start(*words, **how).end(patience)
        self.manners(ended, codes)
        return ended

    def fill(self, record):
        """Copies an undisturbed record and its store here."""
        shutil.copytree(self.lab.reference(record).folder, self.work, symlinks=True, dirs_exist_ok=True)

    def find(self, kind, text):
        """Notes a finding."""
        self.findings.append((kind, text))
        self.history.append(f"FOUND {kind}: {text}\n")

    def find_all(self, pairs):
        """Notes several findings."""
        for kind, text in pairs:
            self.find(kind, text)

    def manners(self, ended, codes=None):
        """Checks what holds for every end: no panic, a documented exit code, and one error line if that is not 0."""
        if self.hung:
            return
        words = next((word for word in ("panicked", "RUST_BACKTRACE", "BUG") if word in ended.err), None)
        if words or ended.code == 101:
            line = next((line for line in ended.err.splitlines() if words and words in line), ended.error())
            self.find("a panic", f"exit {ended.code}: {line}")
        elif ended.code not in (codes or (0, 1, 2, 130)):
            self.find(f"exit {ended.code}", f"pipeline {shlex.join(ended.words)}: {ended.error() or ended.err[-300:]}")
        elif ended.code not in (0, None):
            lines = [line for line in ended.err.splitlines() if line.startswith("error: ")]
            if len(lines) != 1:
                text = f"exit {ended.code}, {len(lines)} error lines: {ended.err[-400:]}"
                self.find("not exactly one error line", text)
        if "\x1b" in ended.out + ended.err:
            self.find("a terminal escape was printed", repr(ended.err[-300:]))

    def orphans(self):
        """Checks that no process of the case outlives its programs."""
        until = time.monotonic() + self.lab.patience() / 4
        while True:
            left = marked(self.mark)
            if not left:
                return
            if time.monotonic() > until:
                break
            time.sleep(0.02)
        self.find("a process is left running", "; ".join(stack(pid) for pid in left))
        for pid in left:
            end(pid)

    def finish(self, records, words=RUN, numbers=True, aside=(), code=0):
        """Runs a command to its end without an attack, and compares the result with undisturbed records."""
        if self.hung:
            raise Stop
        ended = self.run(*words)
        if ended.code != code and not self.hung:
            self.find("the run after the attack failed", f"exit {ended.code}: {ended.error() or ended.err[-500:]}")
        if self.hung:
            raise Stop
        if words[0] == "run":
            again = self.run(*words)
            if again.executed() not in (0, None) or again.code != 0:
                self.find("recomputed", f"exit {again.code}, {again.executed()} executed, but everything was cached")
        self.orphans()
        self.check(records, numbers)
        self.find_all(found for found in oracle.leftovers(self.work) if found[0] not in aside)

    def check(self, records, numbers=True):
        """Compares the record with undisturbed ones."""
        self.find_all(oracle.examine(self.database, self.store))
        expected = {}
        # A run that ended before another extended its training shows what it had then, so earlier records win.
        for record in [records] if isinstance(records, str) else reversed(records):
            expected.update(self.lab.reference(record).picture)
        try:
            self.find_all(oracle.compare(expected, oracle.picture(self.database), numbers))
        except Exception as error:  # noqa: BLE001, an unreadable record is a finding
            self.find("a damaged database", f"{type(error).__name__}: {error}")

    def keep(self):
        """Keeps the folder in its present state."""
        self.kept = True
        self.lab.keep(self)

    def moment(self, processes, span):
        """Waits for a random moment: by the clock, or by recorded steps, which works however busy the machine is."""
        if self.draw.random() < 0.5:
            time.sleep(self.draw.random() * span)
            return
        ahead, wait = self.draw.random() ** 2 * 1800, self.draw.random() * 0.1
        until, first = time.monotonic() + self.lab.patience() / 2, None
        while any(process.alive() for process in processes) and time.monotonic() < until:
            steps = oracle.count_steps(self.database)
            first = steps if first is None else first
            if steps >= first + ahead:
                break
            time.sleep(0.005)
        time.sleep(wait)

    def close(self):
        """Ends what still runs, removes mounts, and keeps the folder if something was found."""
        for pid in marked(self.mark):
            end(pid)
        if self.findings and not self.kept:
            self.keep()
        for undo in reversed(self.undo):
            undo()
        shutil.rmtree(self.root, **{"onexc" if sys.version_info >= (3, 12) else "onerror": make_writable})


def make_writable(function, path, _info):
    """Handles what could not be removed: it may be read-only, or gone by now."""
    try:
        os.chmod(os.path.dirname(path), 0o700)
        os.chmod(path, 0o700)
        function(path)
    except OSError:
        pass


class Reference:
    """An undisturbed record: its folder and its picture."""

    def __init__(self, lab, name):
        self.folder = lab.folder / "references" / name
        self.folder.mkdir(parents=True)
        lab.furnish(self.folder)
        began = time.monotonic()
        for words in RECORDS[name]:
            env = {key: value for key, value in os.environ.items() if not key.startswith("PIPELINE_")}
            done = subprocess.run([lab.program, *words], cwd=self.folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            if done.returncode != 0:
                raise SystemExit(f"error: the undisturbed run failed: pipeline {shlex.join(words)}\n{done.stderr}")
        self.seconds = (time.monotonic() - began) / len(RECORDS[name])
        self.picture = oracle.picture(self.folder / "experiments.db")
        wrong = oracle.examine(self.folder / "experiments.db", self.folder / "data/store")
        if wrong or not self.picture:
            raise SystemExit(f"error: the undisturbed record {name} is not sound: {wrong}")


class Lab:
    """What all cases share: programs, options, references."""

    def __init__(self, options, folder):
        self.program, self.worker = str(options.pipeline), str(options.pipeline.with_name("pipeline-neural"))
        self.seed, self.folder, self.kept = options.seed, folder, options.keep
        self.arguments, self.stopped = options.again, False
        self.lock, self.references, self.kinds, self.spans = threading.RLock(), {}, {}, {}
        words = (ROOT / "data/sonnets.txt").read_text().splitlines(keepends=True)
        self.text = "".join(words[:900])
        help_text = subprocess.run([self.program, "--help"], capture_output=True, text=True).stdout
        self.has = set(re.findall(r"^  ([a-z-]+)  ", help_text, re.M))

    def close(self):
        """Removes the mount that all cases share."""
        if hasattr(self, "shelf"):
            subprocess.run(["umount", "-l", self.shelf], capture_output=True)

    def furnish(self, folder):
        """Writes the corpus and the experiment into a folder."""
        (folder / "text.txt").write_text(self.text)
        (folder / "attack.toml").write_text(EXPERIMENT)

    def patience(self):
        """How long a command may take in seconds; more on a busy machine."""
        return PATIENCE * max(1.0, min(4.0, os.getloadavg()[0] / (2 * (os.cpu_count() or 1))))

    def reference(self, name):
        """An undisturbed record, made on first use."""
        with self.lock:
            if name not in self.references:
                self.references[name] = Reference(self, name)
            return self.references[name]

    def span(self, name, seconds=None):
        """How long something takes, for hitting it at a random moment. A measurement in `seconds` is averaged in."""
        with self.lock:
            known = self.spans.get(name)
            if seconds is not None:
                self.spans[name] = seconds if known is None else 0.7 * known + 0.3 * seconds
            return self.spans.get(name, 1.5)

    def keep(self, space):
        """Keeps a case's folder, unless enough of its kind are kept."""
        with self.lock:
            kinds = {(space.name, kind) for kind, _ in space.findings}
            wanted = any(self.kinds.get(kind, 0) < KEPT_OF_A_KIND for kind in kinds)
            for kind in kinds:
                self.kinds[kind] = self.kinds.get(kind, 0) + 1
            if not wanted or len(list(self.kept.glob("*"))) >= KEPT_IN_ALL:
                return
            target = self.kept / f"{space.name}-{space.number}"
            target.mkdir(parents=True, exist_ok=True)
            text = f"repeat: make torture TORTURE='{self.arguments} --only {space.name} --case {space.number}'\n\n"
            (target / "history.txt").write_text(text + "\n".join(space.history), errors="replace")
            # Count blocks, not lengths: a file may be one large hole.
            size = sum(p.lstat().st_blocks * 512 for p in space.root.rglob("*"))
            if size < 64 << 20:
                subprocess.run(["cp", "-a", "--sparse=always", f"{space.root}/.", str(target)], stderr=subprocess.DEVNULL)
