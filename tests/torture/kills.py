"""Signals at random moments, to the program, its workers or both, during everything that the program can do."""

import hashlib
import os
import re
import shutil
import signal
import sqlite3
import time

import oracle
from lab import FORK, LONGER, ROOT, RUN, Stop

NAME, PER_HOUR = "kills", 880
DEMANDS = ("TERM", "INT", "HUP")
SIGNALS = [("KILL", 8), ("TERM", 3), ("INT", 3), ("HUP", 1), ("USR1", 1), ("USR2", 0.5), ("XCPU", 0.5)]
OF_BASELINES = "(SELECT id FROM main.executions WHERE stage = 'baselines')"
SHARED = ("run", "attack.toml", "--jobs", "1", "--threads", "1")


def why_not(lab):
    """Requires nothing."""
    return None


def case(space):
    """A scene, disturbed several times, then run to its end."""
    scenes = [(first, 5), (longer, 3), (fork, 2), (two, 3), (three, 2), (gc, 2), (verify, 1), (reproduce, 1), (migrate, 2), (look, 1)]
    if "backup" in space.lab.has:
        scenes.append((backup, 2))
    scene = space.draw.choices([s for s, _ in scenes], [w for _, w in scenes])[0]
    space.history.append(f"scene: {scene.__name__}\n")
    scene(space)


def first(space):
    """The first run, and the runs that resume it."""
    disturb_often(space, [RUN])
    space.finish("first")


def longer(space):
    """A finished record, extended by more steps."""
    space.fill("first")
    disturb_often(space, [LONGER])
    space.finish(["first", "longer"], LONGER)


def fork(space):
    """A fork of a finished run."""
    space.fill("first")
    disturb_often(space, [FORK])
    space.finish("fork", FORK)
    space.finish("fork")


def two(space):
    """Two processes on the same record and study."""
    disturb_often(space, [SHARED, SHARED])
    space.finish("first", numbers=False)


def three(space):
    """Three processes, one of which trains longer."""
    disturb_often(space, [SHARED, SHARED, LONGER])
    # Runs of the shorter study may have been interrupted, and the first check below expects them to be finished.
    space.run(*RUN)
    space.finish(["first", "longer"], LONGER, numbers=False)
    space.finish(["first", "longer"], numbers=False)


def gc(space):
    """Removal of unneeded objects, during a run or alone."""
    space.fill("first")
    spare = []
    for _ in range(400):
        data = space.draw.randbytes(64)
        digest = hashlib.sha256(data).hexdigest()
        path = space.store / "sha256" / digest[:2] / digest[2:]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        spare.append(path)
    beside = space.draw.random() < 0.5
    disturb_often(space, [("objects", "gc")] + [LONGER] * beside)
    space.finish(["first", "longer"], LONGER) if beside else space.finish("first")
    ended = space.run("objects", "gc")
    if ended.code != 0 or any(path.exists() for path in spare):
        left = sum(path.exists() for path in spare)
        space.find("gc leaves objects", f"exit {ended.code}, {left} of {len(spare)} are left")
    space.finish(["first", "longer"] if beside else "first")


def verify(space):
    """Verification of the record and its objects."""
    space.fill("first")
    words = ("verify",) if "verify" in space.lab.has and space.draw.random() < 0.5 else ("objects", "verify")
    disturb_often(space, [words])
    if space.run(*words).code != 0:
        space.find("verify rejects a sound record", space.history[-1])
    space.finish("first")


def reproduce(space):
    """Reproduction of a run beside the record."""
    space.fill("first")
    disturb_often(space, [("reproduce", "run1")])
    ended = space.run("reproduce", "run1")
    if ended.code != 0 or not ended.out.startswith("identical"):
        space.find("reproduce fails", str(ended))
    left = list((space.root / "temporary").iterdir())
    if left:
        space.find("a temporary file was left", ", ".join(map(str, left)))
    space.finish("first")


def migrate(space):
    """Migration of a record from an earlier schema."""
    space.fill("first")
    age(space, space.draw.choice([3, 4, 5, 6, 7]))
    commands = [[("runs",)], [RUN], [("runs",), ("show", "run1")], [RUN, SHARED]]
    disturb_often(space, space.draw.choice(commands))
    space.finish("first")


def look(space):
    """Commands that only read, and the files that they write."""
    space.fill("first")
    words = space.draw.choice([("report", "study:attack"), ("diagnose", "study:attack"), ("plot", "study:attack", "-o", "p.svg"), ("compare", "run1", "run2")])
    disturb_often(space, [words])
    for name, sign in (("report.html", "</html>"), ("p.svg", "</svg>")):
        path = space.work / name
        if path.exists() and not path.read_text(errors="replace").rstrip().endswith(sign):
            space.find("an incomplete file", f"{name} has {path.stat().st_size} bytes and no {sign}")
    space.run(*words)
    space.finish("first")


def backup(space):
    """A backup while the record is written."""
    space.fill("first")
    beside = space.draw.random() < 0.6
    copy = space.work / "copy.db"
    for i in range(space.draw.randint(2, 4)):
        disturb(space, [("backup", "copy.db")] + [LONGER] * beside)
        if copy.exists():
            # A copy that has its name must be complete.
            space.find_all((f"backup: {kind}", text) for kind, text in oracle.sound(copy))
            copy.rename(space.work / f"copy{i}.db")
    ended = space.run("backup", "copy.db")
    if ended.code != 0 or not copy.exists():
        space.find("backup fails", str(ended))
    else:
        space.find_all((f"backup: {kind}", text) for kind, text in oracle.lost(oracle.seen(space.database), oracle.seen(copy)))
    space.finish(["first", "longer"] if beside else "first", LONGER if beside else RUN)


def age(space, version):
    """Rewrites the record as an earlier version would have left it: its schema, with the rows that fit into it."""
    old = space.work / "old.db"
    new = sqlite3.connect(old)
    with sqlite3.connect(space.database) as now:
        application = now.execute("PRAGMA application_id").fetchone()[0]
        now.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    files = sorted((ROOT / "pipeline/record/src/migrations").glob("*.sql"))
    new.execute("PRAGMA journal_mode = WAL")
    new.executescript("BEGIN;" + "".join(file.read_text() for file in files[:version]) + "COMMIT;")
    new.execute("ATTACH ? AS now", (str(space.database),))
    new.execute("DROP TRIGGER IF EXISTS trajectory_has_parts")
    trigger = "".join(file.read_text() for file in files[:version])
    for (table,) in new.execute("SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall():
        columns = [row[1] for row in new.execute(f"PRAGMA main.table_info({table})")]
        there = {row[1] for row in new.execute(f"PRAGMA now.table_info({table})")}
        if there:
            list_ = ", ".join(column for column in columns if column in there)
            new.execute(f"INSERT INTO main.{table} ({list_}) SELECT {list_} FROM now.{table}")
    if version < 8:
        # Records have had a uid since version 8.
        new.execute("DELETE FROM main.meta WHERE key = 'uid'")
    new.execute("INSERT OR REPLACE INTO main.sqlite_sequence SELECT name, seq FROM now.sqlite_sequence WHERE 0")
    new.commit()
    if version < 4:
        # The stage baselines came with version 4.
        new.executescript("".join(f"DELETE FROM main.{table} WHERE execution_id IN {OF_BASELINES};" for table in ("run_stages", "results", "execution_inputs", "execution_outputs")))
        new.executescript("DELETE FROM main.executions WHERE stage = 'baselines'; DELETE FROM main.params WHERE name LIKE 'baselines.%';")
    match = re.search(r"CREATE TRIGGER trajectory_has_parts.*?END;", trigger, re.S)
    if match:
        new.executescript(match[0])
    new.execute(f"PRAGMA application_id = {application}")
    new.execute(f"PRAGMA user_version = {version}")
    new.commit()
    new.execute("DETACH now")
    new.close()
    for ending in ("", "-wal", "-shm"):
        path = space.work / f"experiments.db{ending}"
        if path.exists():
            path.unlink()
    for ending in ("", "-wal", "-shm"):
        path = space.work / f"old.db{ending}"
        if path.exists():
            shutil.move(path, space.work / f"experiments.db{ending}")


def disturb_often(space, commands):
    """Disturbs several times in a row, until a command ends undisturbed."""
    for i in range(space.draw.randint(2, 7)):
        met = disturb(space, commands, min(i, 2))
        if not met and commands[0][0] in ("run", "fork", "runs"):
            break


def disturb(space, commands, before_it=0):
    """Starts programs together, sends signals at random moments, checks what is left; returns whether a signal hit."""
    draw = space.draw
    name = " + ".join(" ".join(words[:2] if words[0] == "objects" else words[:1]) + str(len(words)) for words in commands) + f" {before_it}"
    span = space.lab.span(name)
    before, done = oracle.seen(space.database), oracle.finished_by_stage(space.database)
    ended_before = oracle.ended(space.database)
    processes = [space.start(*words) for words in commands]
    met = []
    for _ in range(draw.choice([1, 1, 1, 2])):
        # Sometimes right at the start, when files are created.
        space.moment(processes, span if draw.random() < 0.85 else 0.05)
        sign = draw.choices([name for name, _ in SIGNALS], [weight for _, weight in SIGNALS])[0]
        whom = draw.choices(["program", "worker", "both", "all"], [5, 3, 2, 2])[0]
        now = oracle.seen(space.database, alive=True)
        before = {part: before[part] | now[part] for part in before}
        victims = processes if whom == "all" else [draw.choice(processes)]
        for process in victims:
            workers = process.workers() if whom != "program" else []
            alive = process.alive()
            if whom == "worker":
                hit = bool(workers) and alive
            else:
                hit = alive
                process.signal(getattr(signal, f"SIG{sign}"))
            for pid in workers:
                try:
                    space.history.append(f"SIG{sign} to worker {pid}\n")
                    os.kill(pid, getattr(signal, f"SIG{sign}"))
                except ProcessLookupError:
                    hit = hit and whom != "worker"
            if hit:
                space.attacks += 1
                met.append((process, sign, whom))
                space.history.append(f"SIG{sign} to {whom} of pipeline {' '.join(process.words[:2])} after {time.monotonic() - process.began:.3f} s\n")
    said = {}
    for process in processes:
        hits = [(sign, whom) for victim, sign, whom in met if victim is process]
        ended = process.end()
        if not met:
            space.lab.span(name, 0.8 * ended.seconds)
        judge(space, ended, hits)
        # `reproduce` computes into a record of its own.
        for stage, count in oracle.said(ended.err).items() if process.words[0] in ("run", "fork") else ():
            said[stage] = said.get(stage, 0) + count
    if space.hung:
        raise Stop
    space.orphans()
    now = oracle.seen(space.database)
    space.find_all(oracle.lost(before, now))
    space.find_all(oracle.sound(space.database) if space.database.exists() and space.database.stat().st_size else [])
    space.find_all(oracle.changed(ended_before, oracle.ended(space.database)))
    counts = oracle.finished_by_stage(space.database)
    for stage, count in said.items():
        if counts.get(stage, 0) < count + done.get(stage, 0):
            found = counts.get(stage, 0) - done.get(stage, 0)
            space.find("reported as done but missing", f"{stage}: {count} reported, {found} found")
    return bool(met)


def judge(space, ended, hits):
    """Checks that a program ended in a way that the signals it received allow."""
    own = {sign for sign, whom in hits if whom != "worker"}
    if "KILL" in own and ended.code == -9:
        return
    if ended.code is not None and ended.code < 0 and own:
        sign = signal.Signals(-ended.code).name[3:]
        if sign in own:
            # A signal kills a program that has not installed its handlers yet. A command with nothing to save installs
            # none. One with something to save may be killed only at its very start, which takes a while on a busy
            # machine: the system has to load the program first.
            keeps = ended.words[0] in ("run", "reproduce", "confirm", "lr-range")
            if keeps and ended.seconds > 0.3:
                text = f"exit {ended.code} after {ended.seconds:.2f} s: pipeline {' '.join(ended.words)}"
                space.find(f"SIG{sign} kills the program", text)
            return
    if ended.code == 130 and own and not ended.err.strip():
        # Ctrl-C before anything has started needs no message.
        return
    if ended.code == 130 and sum(whom != "worker" and sign in DEMANDS for sign, whom in hits) > 1:
        # A second request ends the program at once.
        return
    space.manners(ended)
    if hits and ended.code == 2:
        space.find("a signal counts as wrong input", f"{hits}: {ended.error()}")
