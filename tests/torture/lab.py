"""Where attacks take place: folders, programs under a time-out, references that nobody disturbed, findings that are kept."""

import os
import random
import re
import resource
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import oracle

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
MARK = "TORTURE_MARK"
# Whatever takes longer on an idle machine hangs.
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
# What is made once, undisturbed: each a list of commands.
RECORDS = {"first": [RUN], "longer": [RUN, LONGER], "fork": [RUN, FORK], "one": [RUN + ("--set", "train.learning_rate=0.01")]}


class Stop(Exception):
    """Ends a case: what follows would say nothing."""


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
        """How many stages it says to have executed."""
        match = re.search(r"(\d+) executed, ", self.err)
        return int(match[1]) if match else None


def clip(text, size=3000):
    """A text that is short enough to be kept."""
    return text if len(text) <= size else f"{text[: size // 2]}\n… {len(text) - size} characters …\n{text[-size // 2 :]}"


class Process:
    """A program that runs, in a process group of its own, with its output in files."""

    def __init__(self, space, words, env=None, limits=(), program=None):
        self.space, self.words, self.began = space, [str(word) for word in words], time.monotonic()
        space.commands += 1
        self.files = [space.root / "output" / f"{space.commands}.{end}" for end in ("out", "err")]
        self.files[0].parent.mkdir(exist_ok=True)

        def limit():
            # What a program that is ended by a signal leaves of itself is not wanted.
            for kind, value in ((resource.RLIMIT_CORE, 0), *limits):
                resource.setrlimit(kind, (value, value))

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
        """The processes that it started and that live."""
        return [pid for pid in marked(self.space.mark) if pid != self.child.pid and parent(pid) == self.child.pid]

    def said(self):
        """What it has printed so far."""
        return [path.read_text(errors="replace") if path.exists() else "" for path in self.files]

    def end(self, patience=None):
        """Waits for its end; one that does not come is a finding."""
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
    """Where a process's threads wait."""
    lines = []
    for task in sorted(Path(f"/proc/{pid}/task").glob("*"))[:8]:
        try:
            state = (task / "stat").read_text(errors="replace").rsplit(")", 1)[1].split()[0]
            lines.append(f"  {pid} {(task / 'comm').read_text().strip()} {state} {(task / 'wchan').read_text()} {(task / 'syscall').read_text().strip()}")
        except OSError:
            pass
    return "\n".join(lines)


def marked(mark):
    """The living processes of a case, whoever their parents are."""
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


class Space:
    """A folder of its own for a case: corpus, experiment, record, store."""

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
        """The harness's own, without the program's variables, and with what marks the case."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("PIPELINE_")}
        env.update({MARK: self.mark, "TMPDIR": str(self.root / "temporary"), "PIPELINE_CACHE": str(self.root / "cache")})
        env.update(more or {})
        return env

    def start(self, *words, **how):
        """Starts the program."""
        return Process(self, words, **how)

    def run(self, *words, patience=None, codes=None, **how):
        """Runs the program to its end, and looks at its manners."""
        ended = self.start(*words, **how).end(patience)
        self.manners(ended, codes)
        return ended

    def fill(self, record):
        """Copies an undisturbed record and its store here."""
        shutil.copytree(self.lab.reference(record).folder, self.work, symlinks=True, dirs_exist_ok=True)

    def find(self, kind, text):
        """Notes something that must not be."""
        self.findings.append((kind, text))
        self.history.append(f"FOUND {kind}: {text}\n")

    def find_all(self, pairs):
        """Notes several."""
        for kind, text in pairs:
            self.find(kind, text)

    def manners(self, ended, codes=None):
        """What holds for every end: no panic, a code that is documented, one line that says what is wrong."""
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
                self.find("not one error line", f"exit {ended.code}, {len(lines)} error lines: {ended.err[-400:]}")
        if "\x1b" in ended.out + ended.err:
            self.find("a terminal escape is printed", repr(ended.err[-300:]))

    def orphans(self, seconds=10.0):
        """Nothing of a case outlives its programs."""
        until = time.monotonic() + seconds
        while True:
            left = marked(self.mark)
            if not left:
                return
            if time.monotonic() > until:
                break
            time.sleep(0.02)
        self.find("a process is left", "; ".join(stack(pid) for pid in left))
        for pid in left:
            end(pid)

    def finish(self, records, words=RUN, numbers=True, aside=(), code=0):
        """Runs a command to its end, honestly, and compares what is there with undisturbed records."""
        if self.hung:
            raise Stop
        ended = self.run(*words)
        if ended.code != code and not self.hung:
            self.find("the honest run fails", f"exit {ended.code}: {ended.error() or ended.err[-500:]}")
        if self.hung:
            raise Stop
        if words[0] == "run":
            again = self.run(*words)
            if again.executed() not in (0, None) or again.code != 0:
                self.find("computed again", f"exit {again.code}, {again.executed()} executed where all was there")
        self.orphans()
        self.check(records, numbers)
        self.find_all(found for found in oracle.leftovers(self.work) if found[0] not in aside)

    def check(self, records, numbers=True):
        """Compares the record with undisturbed ones."""
        self.find_all(oracle.examine(self.database, self.store))
        expected = {}
        # A run that ended before others trained on shows what it had then: earlier records count.
        for record in [records] if isinstance(records, str) else reversed(records):
            expected.update(self.lab.reference(record).picture)
        try:
            self.find_all(oracle.compare(expected, oracle.picture(self.database), numbers))
        except Exception as error:  # noqa: BLE001, a record that can't be read is what is looked for
            self.find("a damaged database", f"{type(error).__name__}: {error}")

    def keep(self):
        """Keeps the folder, as it is now."""
        self.kept = True
        self.lab.keep(self)

    def moment(self, processes, span):
        """Waits for a random moment: by the clock, or, however busy the machine is, by the steps that are recorded."""
        if self.draw.random() < 0.5:
            time.sleep(self.draw.random() * span)
            return
        ahead, wait = self.draw.random() * 1800, self.draw.random() * 0.2
        until, first = time.monotonic() + self.lab.patience() / 2, None
        while any(process.alive() for process in processes) and time.monotonic() < until:
            steps = oracle.count_steps(self.database)
            first = steps if first is None else first
            if steps >= first + ahead:
                break
            time.sleep(0.005)
        time.sleep(wait)

    def close(self):
        """Ends what still runs, takes mounts away, keeps the folder where something was found."""
        for pid in marked(self.mark):
            end(pid)
        if self.findings and not self.kept:
            self.keep()
        for undo in reversed(self.undo):
            undo()
        shutil.rmtree(self.root, onerror=make_writable)


def make_writable(function, path, _info):
    """What can't be removed may be read-only, or gone by now."""
    try:
        os.chmod(os.path.dirname(path), 0o700)
        os.chmod(path, 0o700)
        function(path)
    except OSError:
        pass


class Reference:
    """A record that nobody disturbed: its folder and its picture."""

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
    """What all cases share."""

    def __init__(self, options, folder):
        self.program, self.worker = str(options.pipeline), str(options.pipeline.with_name("pipeline-neural"))
        self.seed, self.folder, self.kept = options.seed, folder, options.keep
        self.arguments = options.again
        self.lock, self.references, self.kinds, self.spans = threading.RLock(), {}, {}, {}
        words = (ROOT / "data/sonnets.txt").read_text().splitlines(keepends=True)
        self.text = "".join(words[:900])
        help_text = subprocess.run([self.program, "--help"], capture_output=True, text=True).stdout
        self.has = set(re.findall(r"^  ([a-z-]+)  ", help_text, re.M))

    def furnish(self, folder):
        """Puts the corpus and the experiment there."""
        (folder / "text.txt").write_text(self.text)
        (folder / "attack.toml").write_text(EXPERIMENT)

    def patience(self):
        """How long a command may take: more where the machine is busy."""
        return PATIENCE * max(1.0, min(4.0, os.getloadavg()[0] / (2 * (os.cpu_count() or 1))))

    def reference(self, name):
        """An undisturbed record, made once."""
        with self.lock:
            if name not in self.references:
                self.references[name] = Reference(self, name)
            return self.references[name]

    def span(self, name, seconds=None):
        """How long something takes that is to be met at a random moment; what is measured is averaged in."""
        with self.lock:
            known = self.spans.get(name)
            if seconds is not None:
                self.spans[name] = seconds if known is None else 0.7 * known + 0.3 * seconds
            return self.spans.get(name, 1.5)

    def keep(self, space):
        """Keeps a case's folder, unless there are enough of its kind."""
        with self.lock:
            kinds = {(space.name, kind) for kind, _ in space.findings}
            wanted = any(self.kinds.get(kind, 0) < KEPT_OF_A_KIND for kind in kinds)
            for kind in kinds:
                self.kinds[kind] = self.kinds.get(kind, 0) + 1
            if not wanted or len(list(self.kept.glob("*"))) >= KEPT_IN_ALL:
                return
            target = self.kept / f"{space.name}-{space.number}"
            target.mkdir(parents=True, exist_ok=True)
            text = f"again: make torture TORTURE='{self.arguments} --only {space.name} --case {space.number}'\n\n"
            (target / "history.txt").write_text(text + "\n".join(space.history), errors="replace")
            # Blocks, not lengths: a file may be one large hole.
            size = sum(p.lstat().st_blocks * 512 for p in space.root.rglob("*"))
            if size < 64 << 20:
                subprocess.run(["cp", "-a", "--sparse=always", f"{space.root}/.", str(target)], stderr=subprocess.DEVNULL)
