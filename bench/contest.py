#!/usr/bin/env python3
"""Compares the speed of `pipeline` with its peers, and writes bench/RESULTS.md.

    contest.py                              # all contests, five rounds: hours, most of them for the peers
    contest.py --only train,rows --rounds 3 # prints the results; writes them only with -o
    contest.py --quick                      # small sizes, to check that everything runs: the figures mean little

Machines drift, so the two sides of a contest alternate: a round is one measurement of each, back to back, and the side
that goes first changes from round to round. A round gives a ratio, how many times better `pipeline` was; the results
have the median of the ratios with the minimum and maximum. All figures come from the session that wrote them. A contest
whose peer is not installed is listed as not run, with the reason.

The peers require `pip install torch==2.11.0 numpy safetensors tokenizers` for the interpreter that --python or PYTHON
names, and sqlite3 and sha256sum on the PATH.
"""

import argparse
import datetime
import json
import os
import platform
import shlex
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PEERS = Path(__file__).resolve().parent / "peers"
RATES = "0.05,0.1,0.2,0.4,0.6,0.8,1.0,1.2"

EXPERIMENT = """\
name = "contest"
seed = 1
[corpus]
text = "{text}"
split = {{ valid = 0.0, test = 0.0 }}
[tokenize]
unit = "{unit}"
[vocab]
size = 10000
[batch]
size = 20
unroll = {unroll}
[train]
embedding = {hidden}
hidden = {hidden}
layers = 2
init = {{ uniform = 0.1 }}
optimizer = "sgd"
loss_scale = "sum"
learning_rate = 1.0
clip_norm = 5.0
steps = {steps}
probes = 0
checkpoints = {{ every = 0 }}
{extra}
"""


class Trouble(Exception):
    """A side could not be measured."""


class Session:
    """What contests share: programs, sizes, a scratch folder, the commands run so far."""

    def __init__(self, arguments, scratch):
        self.arguments, self.scratch = arguments, Path(scratch)
        self.pipeline = os.path.abspath(arguments.pipeline)
        self.rows_program = os.path.abspath(arguments.steps_program)
        self.python = shutil.which(arguments.python) or arguments.python
        self.corpus = os.path.abspath(arguments.corpus)
        self.commands = []
        # For each training contest, a dictionary per round: milliseconds per step, by phase.
        self.phases = {}

    def run(self, command, folder=None, contest=None):
        """Runs a command and returns (stdout, seconds, peak memory in bytes). Raises Trouble if it fails."""
        command = [str(word) for word in command]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PIPELINE_")}
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            begun = time.perf_counter()
            child = subprocess.Popen(command, cwd=folder, stdout=out, stderr=err, env=environment)
            _, status, usage = os.wait4(child.pid, 0)
            seconds = time.perf_counter() - begun
            child.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0), err.seek(0)
            stdout, stderr = out.read().decode(errors="replace"), err.read().decode(errors="replace")
        if contest is not None:
            self.note(contest, command)
        if child.returncode != 0:
            lines = [line for line in stderr.splitlines() if line.strip()] or [f"exit code {child.returncode}"]
            errors = [line for line in lines if line.startswith("error:")]
            raise Trouble((errors or lines[-1:])[0].removeprefix("error: "))
        return stdout, seconds, usage.ru_maxrss * 1024

    def note(self, contest, command):
        """Keeps a command for the results, without this machine's folders, unless it is already there."""
        text = shlex.join(command).replace(self.pipeline, "pipeline").replace(self.rows_program, "steps")
        text = text.replace(self.python, "python3").replace(str(ROOT) + "/", "").replace(str(self.scratch), "SCRATCH")
        text = text.replace(self.corpus, "CORPUS")
        if (contest, text) not in self.commands:
            self.commands.append((contest, text))

    def peer(self, contest, script, *words):
        """Runs a peer's script and returns its JSON, with the seconds and memory of the process."""
        stdout, seconds, memory = self.run([self.python, PEERS / script, *words], contest=contest)
        found = json.loads(stdout.splitlines()[-1])
        return found | {"wall": seconds, "memory": memory}

    def experiment(self, folder, text, unit="whitespace", steps=1, extra="", hidden=200, unroll=20):
        """Makes a folder with an experiment."""
        folder.mkdir(parents=True, exist_ok=True)
        experiment = EXPERIMENT.format(text=text, unit=unit, steps=steps, extra=extra, hidden=hidden, unroll=unroll)
        (folder / "contest.toml").write_text(experiment)
        return folder

    def study(self, folder, *words, contest=None):
        """Runs the folder's experiment and returns (seconds, peak memory)."""
        command = [self.pipeline, "run", "contest.toml", "--db", "experiments.db", *words]
        _, seconds, memory = self.run(command, folder, contest)
        return seconds, memory

    def ask(self, folder, query, *values):
        """The first row that a query finds."""
        return sqlite3.connect(f"file:{folder}/experiments.db?mode=ro", uri=True).execute(query, values).fetchone()

    def has(self, *modules):
        """Why the interpreter lacks modules, or None."""
        code = f"import importlib.util as u; print(*[m for m in {list(modules)!r} if u.find_spec(m) is None])"
        try:
            stdout, *_ = self.run([self.python, "-c", code])
        except (Trouble, OSError) as error:
            return f"{self.arguments.python}: {error}"
        missing = ", ".join(stdout.split())
        return f"{missing} not installed: pip install torch==2.11.0 numpy safetensors tokenizers" if missing else None

    def knows(self, key):
        """Why `pipeline` refuses a key of an experiment, or None."""
        folder = self.experiment(self.scratch / "knows", self.corpus)
        try:
            self.study(folder, "--dry-run", "--set", key)
        except Trouble as error:
            return f"pipeline: {error}"
        return None


class Measure:
    """One row of the results."""

    def __init__(self, name, what, unit, target=None, lower=False):
        self.name, self.what, self.unit, self.target, self.lower = name, what, unit, target, lower

    def ratio(self, ours, peer):
        return peer / ours if self.lower else ours / peer


class Train:
    """Whole training steps of one of Zaremba's models, without dropout; both sides have the same tokens and threads."""

    def __init__(self, name, what, target, ours="f32", peer="f32", device="cpu", hidden=200, unroll=20):
        self.name, self.precision, self.peer_precision = name, ours, peer
        self.device, self.hidden, self.unroll = device, hidden, unroll
        self.measures = [Measure(name, what, "tokens/s", target)]

    def missing(self, s):
        keys = [f"train.precision={self.precision}", f"train.device={self.device}"]
        return s.has("torch", "numpy") or next(filter(None, map(s.knows, keys)), None)

    def prepare(self, s):
        self.warmup, self.steps = s.arguments.warmup, s.arguments.steps
        extra = f'precision = "{self.precision}"\ndevice = "{self.device}"'
        size = {"hidden": self.hidden, "unroll": self.unroll}
        self.folder = s.experiment(s.scratch / self.name, s.corpus, steps=self.warmup + self.steps, extra=extra, **size)
        s.study(self.folder, "--until", "batch")
        row = s.ask(self.folder, "SELECT digest FROM execution_outputs o JOIN executions x ON x.id = o.execution_id "
                    "WHERE x.stage = 'vocab' AND o.name = 'train'")
        self.ids = self.folder / "data/store/sha256" / row[0][:2] / row[0][2:]

    def ours(self, s, turn):
        # Another seed is another training, so that nothing is cached; the work is the same.
        words = ["--set", f"train.seed={turn + 1}", "--jobs", "1", "--threads", s.arguments.threads]
        s.study(self.folder, *words, contest=self.name)
        tokens, seconds, report = s.ask(
            self.folder,
            "SELECT sum(tokens), sum(seconds), (SELECT report FROM executions WHERE stage = 'train' ORDER BY id DESC "
            "LIMIT 1) FROM run_steps WHERE run = (SELECT max(id) FROM runs) AND step >= ?",
            self.warmup,
        )
        # A step's seconds exclude the time to report the step, which is added.
        report = json.loads(report)
        whole = self.warmup + self.steps
        told = report.get("observe_seconds", 0.0) * self.steps / whole
        phases = {name: 1000 * spent / whole for name, spent in report.get("phases", {}).items()}
        # On a GPU the phases can't be timed: kernels are waited for together.
        if self.device == "cpu":
            s.phases.setdefault(self.name, []).append(phases)
        return {self.name: tokens / (seconds + told)}

    def peer(self, s, turn):
        words = ["--ids", self.ids, "--vocab", "1", "--steps", self.steps, "--warmup", self.warmup]
        words += ["--threads", s.arguments.threads, "--precision", self.peer_precision, "--device", self.device]
        words += ["--hidden", self.hidden, "--unroll", self.unroll]
        return {self.name: s.peer(self.name, "train_torch.py", *words)["value"]}


class Study:
    """Eight learning rates from scratch: reading the text, starting up, training, writing weights."""

    def __init__(self, name, what, jobs, target, device="cpu"):
        self.name, self.jobs, self.device = name, jobs, device
        self.measures = [Measure(name, what, "s", target, lower=True)]

    def missing(self, s):
        return s.has("torch", "numpy") or s.knows(f"train.device={self.device}")

    def prepare(self, s):
        self.steps = s.arguments.study_steps

    def ours(self, s, turn):
        extra = f'device = "{self.device}"\n[study]\n"train.learning_rate" = [{RATES}]'
        folder = s.experiment(s.scratch / f"{self.name}{turn}", s.corpus, steps=self.steps, extra=extra)
        seconds, _ = s.study(folder, contest=self.name)
        runs, steps = s.ask(folder, "SELECT count(*), sum(steps) FROM run_summary")
        shutil.rmtree(folder)
        if (runs, steps) != (len(RATES.split(",")), self.steps * len(RATES.split(","))):
            raise Trouble(f"the record has {runs} runs with {steps} steps")
        return {self.name: seconds}

    def peer(self, s, turn):
        words = ["--text", s.corpus, "--steps", self.steps, "--rates", RATES, "--jobs", self.jobs, "--device", self.device]
        words += ["--threads", max(s.arguments.threads // self.jobs, 1)]
        return {self.name: s.peer(self.name, "study_torch.py", *words)["value"]}


class Sample:
    """A long text from one checkpoint, token by token."""

    def __init__(self, name, what, decode, greedy):
        self.name, self.decode, self.greedy = name, decode, greedy
        self.measures = [Measure(name, what, "tokens/s", "≥ 8")]

    def missing(self, s):
        return s.has("torch", "safetensors")

    def prepare(self, s):
        extra = f'[sample]\nat = "last"\ndecode = [{self.decode}]'
        self.folder = s.experiment(s.scratch / self.name, s.corpus, steps=20, extra=extra)
        s.study(self.folder, "--until", "train")
        row = s.ask(self.folder, "SELECT weights FROM checkpoints ORDER BY step DESC LIMIT 1")
        self.weights = self.folder / "data/store/sha256" / row[0][:2] / row[0][2:]

    def ours(self, s, turn):
        # One more token each round, so that nothing is cached.
        words = ["--set", f"sample.length={s.arguments.tokens + turn}", "--threads", s.arguments.threads]
        s.study(self.folder, *words, contest=self.name)
        row = s.ask(self.folder, "SELECT x.seconds, t.tokens FROM executions x JOIN samples t ON t.execution_id = x.id "
                    "WHERE x.stage = 'sample' ORDER BY x.id DESC LIMIT 1")
        if row[1] < s.arguments.tokens:
            raise Trouble(f"the sample has only {row[1]} tokens")
        return {self.name: row[1] / row[0]}

    def peer(self, s, turn):
        # At batch 1 more threads may be slower, so the peer's better figure counts.
        words = [self.weights, "--tokens", s.arguments.tokens, *(["--greedy"] if self.greedy else [])]
        counts = sorted({1, s.arguments.threads})
        return {self.name: max(s.peer(self.name, "sample_torch.py", *words, "--threads", n)["value"] for n in counts)}


def big_text(s):
    """The large text of a session: Shakespeare, repeated."""
    path = s.scratch / "text.txt"
    if not path.exists():
        text, left = (ROOT / "data/shakespeare.txt").read_bytes(), int(s.arguments.size)
        with open(path, "wb") as out:
            while left > 0:
                piece = text if left >= len(text) else text[: text.rfind(b"\n", 0, left) + 1]
                if not piece:
                    break
                left -= out.write(piece)
    return path


class Text:
    """Vocabulary and ids of a large text."""

    name = "text"
    measures = [
        Measure("text", "vocabulary and ids, the stages (tokenize, vocab, batch) only", "MB/s", "≥ 10"),
        Measure("text-whole", "the same as whole processes, with start, digests and store", "MB/s", "> 1"),
        Measure("text-memory", "peak memory of those processes", "MB", "ours < 200", lower=True),
    ]

    def missing(self, s):
        return s.has("tokenizers")

    def prepare(self, s):
        self.text = big_text(s)
        self.bytes = self.text.stat().st_size

    def ours(self, s, turn):
        folder = s.experiment(s.scratch / f"text{turn}", self.text, unit="word")
        seconds, memory = s.study(folder, "--until", "batch", contest=self.name)
        stages, inside = s.ask(folder, "SELECT count(*), sum(seconds) FROM executions")
        if stages != 3:
            raise Trouble(f"{stages} stages were executed, not 3")
        query = ("SELECT o.digest FROM execution_outputs o JOIN executions x ON x.id = o.execution_id "
                 "WHERE x.stage = 'vocab' AND o.name = ?")
        if turn == 0:
            path = lambda name: (lambda d: folder / "data/store/sha256" / d[:2] / d[2:])(s.ask(folder, query, name)[0])
            words = ["--text", self.text, "--tokenizer", path("tokenizer"), "--ids", path("train"), "--limit", 200_000]
            s.peer(f"{self.name} (the ids are the same)", "tokenize_hf.py", *words)  # Raises Trouble if they differ.
        shutil.rmtree(folder)
        return {"text": self.bytes / inside / 1e6, "text-whole": self.bytes / seconds / 1e6, "text-memory": memory / 1e6}

    def peer(self, s, turn):
        found = s.peer(self.name, "tokenize_hf.py", "--text", self.text)
        whole = self.bytes / found["wall"] / 1e6
        return {"text": found["value"], "text-whole": whole, "text-memory": found["memory"] / 1e6}


class Hash:
    """Verification of every object of a store."""

    def __init__(self, name, program, target):
        self.name, self.program = name, program
        self.measures = [Measure(name, f"SHA-256 of a store's objects, against {program}", "MB/s", target)]

    def missing(self, s):
        return None if shutil.which(self.program) else f"{self.program} was not found"

    def prepare(self, s):
        self.folder = s.experiment(s.scratch / self.name, big_text(s), unit="word")
        s.study(self.folder, "--until", "tokenize")
        self.files = sorted(path for path in (self.folder / "data/store/sha256").glob("*/*") if path.is_file())
        self.bytes = sum(path.stat().st_size for path in self.files)
        for path in self.files:  # Fill the page cache: both sides then read from memory.
            with open(path, "rb") as file:
                while file.read(1 << 20):
                    pass

    def ours(self, s, turn):
        command = [s.pipeline, "objects", "verify", "--db", "experiments.db"]
        _, seconds, _ = s.run(command, self.folder, self.name)
        return {self.name: self.bytes / seconds / 1e6}

    def peer(self, s, turn):
        words = ["--openssl"] if self.program == "openssl" else []
        return {self.name: s.peer(self.name, "hash_sha256sum.py", *words, *self.files)["value"]}


class Rows:
    """Recording of steps."""

    name = "rows"
    measures = [Measure("rows", "steps into SQLite, whole processes", "rows/s", "≥ 1")]

    def missing(self, s):
        if shutil.which("sqlite3") is None:
            return "sqlite3 was not found"
        if not os.access(s.rows_program, os.X_OK):
            return "bench/steps.rs is not built: cargo build --release -p pipeline --example steps"
        return None

    def prepare(self, s):
        self.rows = s.arguments.rows
        self.csv = s.scratch / "steps.csv"
        s.run([s.rows_program, "--csv", self.csv, self.rows])
        s.run([s.rows_program, s.scratch / "like", 1])

    def ours(self, s, turn):
        folder = s.scratch / f"rows{turn}"
        _, seconds, _ = s.run([s.rows_program, folder, self.rows], contest=self.name)
        shutil.rmtree(folder)
        return {"rows": self.rows / seconds}

    def peer(self, s, turn):
        found = s.peer(self.name, "import_sqlite.py", self.csv, "--like", s.scratch / "like/steps.db")
        if found["rows"] != self.rows:
            raise Trouble(f"sqlite3 imported {found['rows']} rows")
        return {"rows": found["value"]}


CONTESTS = [
    Train("train", "Zaremba small, f32, whole steps, against PyTorch eager", "≥ 1.25"),
    Train("train-bf16", "the same in bf16, against PyTorch eager in f32", "≥ 1.6", ours="bf16"),
    Train("train-autocast", "the same in bf16, against PyTorch eager under autocast to bf16", "> 1", ours="bf16", peer="bf16"),
    Study("study", "eight rates from the text to the last weights, against a loop with two threads", 1, "≥ 1.6"),
    Study("study-pairs", "the same against two processes at a time with one thread each", 2, "> 1"),
    Sample("sample", "one text, token by token, temperature 1.0", "{ temperature = 1.0 }", greedy=False),
    Sample("sample-greedy", "the same, greedy", '"greedy"', greedy=True),
    Text(),
    Hash("hash", "sha256sum", "≥ 1"),
    Hash("hash-openssl", "openssl", None),
    Rows(),
    Train("train-cuda", "Zaremba small on a GPU, f32, against nn.LSTM by cuDNN", "> 1", device="cuda"),
    Train("train-cuda-medium", "the same of the medium model's size", "> 1", device="cuda", hidden=650, unroll=35),
    Train("train-cuda-large", "the same of the large model's size", "> 1", device="cuda", hidden=1500, unroll=35),
    Study("study-cuda", "eight rates sharing a GPU, against a loop", 1, "> 1", device="cuda"),
    Study("study-cuda-pairs", "the same against two processes at a time", 2, "> 1", device="cuda"),
]


def hold(contest, s):
    """Runs all rounds of a contest: {measure: [(ours, peer), …]}."""
    contest.prepare(s)
    rounds = {measure.name: [] for measure in contest.measures}
    for turn in range(s.arguments.rounds):
        found = {}
        sides = ["ours", "peer"] if turn % 2 == 0 else ["peer", "ours"]
        for side in sides:
            found[side] = getattr(contest, side)(s, turn)
        for measure in contest.measures:
            ours, peer = found["ours"][measure.name], found["peer"][measure.name]
            rounds[measure.name].append((ours, peer))
            print(
                f"{measure.name}, round {turn + 1}: {number(ours)} against {number(peer)} {measure.unit}, "
                f"ratio {measure.ratio(ours, peer):.2f}",
                file=sys.stderr,
            )
    return rounds


def number(x):
    """A number with three significant digits, or with thousands separators."""
    return f"{x:,.0f}" if x >= 1000 else f"{x:.3g}" if x < 100 else f"{x:.0f}"


def spread(values, shown=number):
    """The median, with the minimum and the maximum."""
    median = shown(statistics.median(values))
    return median if len(values) == 1 else f"{median} ({shown(min(values))}–{shown(max(values))})"


def first_line(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return "not found"
    return (done.stdout or done.stderr).strip().splitlines()[0] if done.returncode == 0 else "not found"


def machine():
    """The machine that was measured."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        ("CPU", f"{model}, {os.cpu_count()} cores"),
        ("memory", f"{memory:.0f} GiB"),
        ("GPU", first_line(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"])),
        ("kernel", f"{platform.system()} {platform.release()}"),
    ]


def versions(s):
    worker = Path(s.pipeline).with_name("pipeline-neural")
    described = first_line([str(worker), "describe"])
    try:
        told = json.loads(described)
        libtorch = f"{told['libtorch']}, {told['cpu_capability']}"
    except ValueError:
        libtorch = "not found"
    package = lambda name: first_line([s.python, "-c", f"from importlib.metadata import version; print(version({name!r}))"])
    commit = first_line(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"])
    changed = subprocess.run(["git", "-C", str(ROOT), "status", "--porcelain", "-uno"], capture_output=True, text=True).stdout
    return [
        ("pipeline", f"{first_line([s.pipeline, '--version'])}, commit {commit}{' with local changes' if changed.strip() else ''}"),
        ("rustc", first_line(["rustc", "--version"])),
        ("libtorch", libtorch),
        ("Python", first_line([s.python, "--version"])),
        ("torch", package("torch")),
        ("tokenizers", package("tokenizers")),
        ("sqlite3", first_line(["sqlite3", "--version"]).split(" ")[0]),
        ("sha256sum", first_line(["sha256sum", "--version"])),
    ]


PHASES = {
    "softmax_products": "the softmax layer's three products",
    "softmax_rows": "its rows: bias, losses, gradient with respect to the logits",
    "forward": "embedding and LSTM layers, forward",
    "backward": "embedding and LSTM layers, backward",
    "norm": "norm of the gradients",
    "update": "update rule",
    "rest": "reading tokens, probes, recording",
}


def where_time_goes(s):
    """The time of each phase of a step, for each training contest, and the best speed of matrix products."""
    lines = []
    for name, rounds in s.phases.items():
        median = {phase: statistics.median(of[phase] for of in rounds) for phase in rounds[0]}
        whole = sum(median.values())
        lines += ["", f"## Where a step's time goes: {name}", "", "| phase | ms per step | share |", "| --- | --- | --- |"]
        lines += [f"| {words} | {median[phase]:.2f} | {median[phase] / whole:.0%} |" for phase, words in PHASES.items()]
        # Each of the three products takes 2 · T·B · H · V operations.
        reached = 3 * 2 * 400 * 200 * 10_000 / (median["softmax_products"] / 1000) / 1e9
        lines += ["", f"The products reach {reached:.0f} GFLOP/s."]
    if lines:
        try:
            found = s.peer("products", "products_torch.py", "--threads", s.arguments.threads)["value"]
        except Trouble as error:
            return lines + ["", f"The best speed of matrix products was not measured: {error}"]
        lines += ["", "The best speed of matrix products in this session, through PyTorch, GFLOP/s:", ""]
        lines += ["| | logits | gradient of the weights | gradient of the inputs | 2048 × 2048 × 2048 |",
                  "| --- | --- | --- | --- | --- |"]
        lines += [f"| {name} | " + " | ".join(f"{of[k]:.0f}" for k in ("logits", "weight_gradient", "input_gradient", "large")) + " |"
                  for name, of in found.items()]
    return lines


def report(s, results, skipped, begun, load):
    """The results as Markdown."""
    a = s.arguments
    when = begun.strftime("%Y-%m-%d %H:%M UTC")
    lines = ["# Results of the contests", ""]
    lines += [f"Written by `bench/contest.py` on {when}: {a.rounds} round{'s' * (a.rounds > 1)}, sides alternating. A cell"
              " is the median over the rounds, with the minimum and maximum. The ratio is taken in each round: above 1,"
              " `pipeline` is better."]
    if a.quick:
        lines += ["", "**Small sizes (`--quick`): these figures only show that everything runs.**"]
    lines += ["", "| contest | | ours | peer | unit | ratio | target |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for contest in CONTESTS:
        for measure in contest.measures:
            if measure.name not in results:
                continue
            rounds = results[measure.name]
            ratios = [measure.ratio(*pair) for pair in rounds]
            cells = [spread([ours for ours, _ in rounds]), spread([peer for _, peer in rounds]), measure.unit]
            lines.append(f"| {measure.name} | {measure.what} | {' | '.join(cells)} | "
                         f"{spread(ratios, lambda x: f'{x:.2f}')} | {measure.target or ''} |")
    lines += where_time_goes(s)
    if skipped:
        lines += ["", "Not run:", ""]
        lines += [f"- **{name}**: {why}" for name, why in skipped]
    lines += ["", "## Machine and versions", "", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {value} |" for name, value in machine() + versions(s)]
    lines += [f"| load average | {load[0]:.2f} at the start, {os.getloadavg()[0]:.2f} at the end (contests included) |"]
    lines += [f"| sizes | {a.steps} steps after {a.warmup} (train), {a.study_steps} per rate (study), {a.tokens:,} tokens"
              f" (sample), {a.size / 1e6:,.0f} MB of text (text, hash), {a.rows:,} rows; {a.threads} threads; corpus of"
              f" train and study: {Path(s.corpus).name} |"]
    lines += ["", "## Commands", "", "Run in a scratch folder with the experiment that `contest.py` writes. Of commands that"
              " differ only by the round's number, the first is shown. SCRATCH is the folder, CORPUS the corpus.", ""]
    for contest in dict.fromkeys(name for name, _ in s.commands):
        own = [text for name, text in s.commands if name == contest]
        kinds = dict.fromkeys(" ".join(text.split()[:2]) for text in own)
        firsts = [next(text for text in own if " ".join(text.split()[:2]) == kind) for kind in kinds]
        lines += [f"- {contest}", *(f"  - `{text if len(text) < 400 else text[:400] + ' …'}`" for text in firsts)]
    lines += ["", "## Every round", "", "| contest | round | ours | peer | ratio |", "| --- | --- | --- | --- | --- |"]
    for contest in CONTESTS:
        for measure in contest.measures:
            for turn, (ours, peer) in enumerate(results.get(measure.name, []), 1):
                lines.append(f"| {measure.name} | {turn} | {number(ours)} | {number(peer)} | {measure.ratio(ours, peer):.2f} |")
    return "\n".join(lines) + "\n"


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [contest.name for contest in CONTESTS]
    ptb = ROOT / "data/ptb/ptb.train.txt"
    corpus = ptb if ptb.exists() else ROOT / "data/shakespeare.txt"
    program = ROOT / "target/release/pipeline"
    steps = ROOT / "target/release/examples/steps"
    python = os.environ.get("PYTHON", "python3")
    parser.add_argument("--only", help=f"contests to run, separated by commas: {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=5, help="rounds per contest (default: %(default)s)")
    parser.add_argument("--python", default=python, help="the peers' interpreter (default: %(default)s)")
    parser.add_argument("--pipeline", default=str(program), help="the program (default: target/release/pipeline)")
    parser.add_argument("--steps-program", default=str(steps), help="the built bench/steps.rs (default: %(default)s)")
    parser.add_argument(
        "--corpus",
        default=str(corpus),
        help="corpus of train and study (default: data/ptb/ptb.train.txt if it exists, else data/shakespeare.txt)",
    )
    parser.add_argument("--threads", type=int, default=2, help="threads of each side (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=200, help="train: measured steps (default: %(default)s)")
    parser.add_argument("--warmup", type=int, default=20, help="train: steps before measuring (default: %(default)s)")
    parser.add_argument("--study-steps", type=int, default=200, help="study: steps per rate (default: %(default)s)")
    parser.add_argument("--tokens", type=int, default=10_000, help="sample: length of the text (default: %(default)s)")
    parser.add_argument("--size", type=float, default=1e9, help="text, hash: bytes of text (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows: number of steps (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="small sizes and one round, to check that everything runs")
    parser.add_argument("--scratch", help="parent of the scratch folder, which takes up to 4 times --size")
    parser.add_argument(
        "-o", "--output", help="file for the results (default: bench/RESULTS.md; none with --only or --quick)"
    )
    arguments = parser.parse_args()
    if arguments.output is None and not arguments.only and not arguments.quick:
        arguments.output = str(ROOT / "bench/RESULTS.md")
    if arguments.quick:
        arguments.rounds, arguments.steps, arguments.warmup, arguments.study_steps = 1, 10, 3, 5
        arguments.tokens, arguments.size, arguments.rows = 200, 5e6, 20_000
    chosen = arguments.only.split(",") if arguments.only else names
    for name in chosen:
        if name not in names:
            parser.error(f"not a contest: {name!r}; allowed: {', '.join(names)}")
    if not os.access(arguments.pipeline, os.X_OK):
        sys.exit(f"error: {arguments.pipeline}: no such program\nhint: run make build, or pass --pipeline")
    return arguments, [contest for contest in CONTESTS if contest.name in chosen]


def main():
    arguments, chosen = parse()
    begun, load = datetime.datetime.now(datetime.timezone.utc), os.getloadavg()
    results, skipped = {}, []
    with tempfile.TemporaryDirectory(prefix="contest-", dir=arguments.scratch) as scratch:
        s = Session(arguments, scratch)
        for contest in chosen:
            why = contest.missing(s)
            if why is None:
                try:
                    results.update(hold(contest, s))
                except Trouble as error:
                    why = f"failed: {error}"
            for folder in Path(scratch).iterdir():  # Keeps the large text, which contests share.
                if folder.is_dir():
                    shutil.rmtree(folder)
            if why is not None:
                skipped.append((contest.name, why))
                print(f"{contest.name}: not run, {why}", file=sys.stderr)
        left = [contest.name for contest in CONTESTS if contest not in chosen]
        if left:
            skipped.append((", ".join(left), "not selected"))
        if not results:
            sys.exit("error: no contest could be run")
        text = report(s, results, skipped, begun, load)
    if arguments.output:
        Path(arguments.output).write_text(text)
        print(f"written to {arguments.output}", file=sys.stderr)
        text = text[: text.index("\n## Machine")]
    print(text)


if __name__ == "__main__":
    main()
