"""Damage: flipped bits, other lengths, and things that are not files, in place of objects, logs, caches, locks and the
database.
"""

import os
import resource
import shutil
import sqlite3

import oracle
from lab import LONGER, RUN, Stop

NAME, PER_HOUR = "damage", 110
# A damaged file may be one large hole; memory may not.
LIMITS = [(resource.RLIMIT_AS, 12 << 30)]


def why_not(lab):
    """Requires nothing."""
    return None


def case(space):
    """One kind of damage to a finished record."""
    space.draw.choices([objects, caches, pages], [5, 3, 4])[0](space)


def objects(space):
    """Damages objects: verify must notice, and a run must recompute them."""
    space.fill("first")
    # Make the files old enough for the stat cache to trust their times.
    for path in (space.store / "sha256").rglob("*"):
        os.utime(path, (1_600_000_000, 1_600_000_000), follow_symlinks=False)
    space.run(*RUN)
    with oracle.reading(space.database) as c:
        needed = [digest for digest, _ in c.execute(oracle.NEEDED)]
    hit = {}
    for digest in space.draw.sample(sorted(needed), space.draw.choice([1, 1, 1, 2, 4])):
        path = space.store / "sha256" / digest[:2] / digest[2:]
        hit[digest] = spoil(space, path)
        space.attacks += 1
    what = ", ".join(f"{digest[:8]} {how}" for digest, how in hit.items())
    verified = space.draw.random() < 0.6
    if verified:
        words = ("verify",) if "verify" in space.lab.has else ("objects", "verify")
        ended = space.run(*words, limits=LIMITS)
        stop_if_hung(space, what)
        if ended.code != 1:
            space.find("damage goes unnoticed", f"{what}: {' '.join(words)} exits with {ended.code}")
        for digest in hit:
            if digest not in ended.out + ended.err:
                space.find("damage goes unnoticed", f"the output does not name {digest}: {what}")
    ended = space.run(*LONGER, limits=LIMITS)
    stop_if_hung(space, what)
    if ended.code != 0:
        space.find("damage is not repaired", f"{what}: exit {ended.code}: {ended.error()}")
        again = space.run(*LONGER)
        if again.code != 0:
            space.find("damage is never repaired", f"{what}: exit {again.code}: {again.error()}")
            raise Stop
    if space.run(*RUN).code != 0:
        space.find("damage is not repaired", f"{what}: {space.history[-1]}")
        raise Stop
    space.orphans()
    expected = dict(space.lab.reference("longer").picture)
    expected.update(space.lab.reference("first").picture)
    space.find_all(oracle.compare(expected, oracle.picture(space.database)))
    # An object that no command has used since may still be damaged, unless verify set it aside.
    for digest, _ in hit.items():
        path = space.store / "sha256" / digest[:2] / digest[2:]
        if path.is_file() and path.stat().st_size < 1 << 30 and oracle.digest_of(path) != digest and verified:
            space.find("damage is not set aside", f"{what}: {digest}")
    space.find_all(oracle.sound(space.database))


def stop_if_hung(space, what):
    """Ends the case after a hang, and adds to its findings what was damaged."""
    if space.hung:
        space.findings = [(kind, f"{what}: {text}") for kind, text in space.findings]
        raise Stop


def spoil(space, path):
    """Damages a file in one of many ways, and returns which."""
    draw = space.draw
    if path.exists():
        os.chmod(path, 0o644)
    size = path.stat().st_size if path.exists() else 0
    how = draw.choices(["bit", "truncated", "longer", "hole", "empty", "gone", "fifo", "link", "dangling", "folder", "socket", "zeros"], [6, 2, 2, 2, 1, 1, 2, 2, 1, 2, 1, 1])[0]
    if how in ("bit", "zeros", "truncated") and size == 0:
        how = "gone"
    if how == "bit":
        flip(path, draw.randrange(size), draw.randrange(8))
    elif how == "zeros":
        at = draw.randrange(size)
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(b"\0" * min(512, size - at))
    elif how == "truncated":
        os.truncate(path, draw.randrange(size))
    elif how == "longer":
        with open(path, "ab") as file:
            file.write(bytes(draw.choices(range(256), k=draw.randint(1, 100))))
    elif how == "hole":
        with open(path, "ab") as file:
            file.truncate(draw.choice([1 << 30, 8 << 30, 64 << 30]))
    elif how == "empty":
        os.truncate(path, 0) if path.exists() else path.write_bytes(b"")
    else:
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
        path.parent.mkdir(parents=True, exist_ok=True)
        if how == "fifo":
            os.mkfifo(path)
        elif how == "link":
            path.symlink_to(path.name)
        elif how == "dangling":
            path.symlink_to("nowhere")
        elif how == "folder":
            path.mkdir()
            (path / "file").write_text("x")
        elif how == "socket":
            import socket

            here = os.getcwd()
            with socket.socket(socket.AF_UNIX) as end:
                # The path of a socket must be short.
                short = space.root / "s"
                end.bind(str(short))
            os.rename(short, path)
            assert here == os.getcwd()
    space.history.append(f"{path}: {how}\n")
    return how


def flip(path, at, bit):
    """Flips one bit."""
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))


def caches(space):
    """Damages caches, locks and logs, which hold no results. A run must finish, or name what is in its way."""
    space.fill("first")
    store = space.store
    logs = sorted(path.relative_to(store) for path in (store / "logs").glob("*"))
    notes = sorted(path.relative_to(store) for path in (store / "databases").glob("*"))
    names = ["stat-cache", "worker-cache", "locks/content", "locks", "logs", "tmp", "damaged", "databases", *logs[:1], *notes[:1]]
    for name in space.draw.sample(names, space.draw.choice([1, 1, 2])):
        path = store / name
        if path.is_dir():
            shutil.rmtree(path)
        how = spoil(space, path)
        space.attacks += 1
    if space.draw.random() < 0.3:
        how = spoil(space, space.work / "experiments.db-open")
        space.attacks += 1
    what = f"{name} {how}"
    for words in space.draw.sample([("runs",), ("objects", "verify"), ("objects", "size"), ("objects", "gc"), ("show", "run1", "--log")], 2):
        space.run(*words, limits=LIMITS)
        stop_if_hung(space, what)
    ended = space.run(*LONGER, limits=LIMITS)
    stop_if_hung(space, what)
    if ended.code == 0:
        space.finish(["first", "longer"], LONGER, aside=("a temporary file was left",))
    else:
        # Something that is not a file is in a file's place: the program may refuse it, but must name it.
        if not any(name in ended.error() for name in ("experiments.db-open", "/data/store", "store/")):
            text = f"{what}: exit {ended.code}: {ended.error() or ended.err[-300:]}"
            space.find("the error does not name what is in the way", text)
        space.find_all(oracle.sound(space.database))


def pages(space):
    """Damages the database. Damage that SQLite or the steps' hashes reveal must be noticed by verify, and no command
    may hang or panic.
    """
    space.fill("first")
    with sqlite3.connect(space.database) as c:
        c.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for ending in ("-wal", "-shm"):
        path = space.work / f"experiments.db{ending}"
        if path.exists():
            path.unlink()
    size = space.database.stat().st_size
    how = space.draw.choices(["bits", "page", "truncated", "row", "loss", "header"], [6, 2, 1, 2, 2, 1])[0]
    whole = rows(space.database)
    if how == "bits":
        for _ in range(space.draw.choice([1, 1, 3, 10])):
            flip(space.database, space.draw.randrange(100, size), space.draw.randrange(8))
    elif how == "page":
        with open(space.database, "r+b") as file:
            file.seek(4096 * space.draw.randrange(1, size // 4096))
            file.write(bytes(space.draw.choices(range(256), k=4096)) if space.draw.random() < 0.5 else bytes(4096))
    elif how == "truncated":
        os.truncate(space.database, 4096 * space.draw.randrange(1, size // 4096))
    elif how == "header":
        flip(space.database, space.draw.randrange(100), space.draw.randrange(8))
    else:
        with sqlite3.connect(space.database) as c:
            at = space.draw.randrange(1000)
            text = "DELETE FROM steps WHERE trajectory_id = 1 AND step = ?" if how == "row" else "UPDATE steps SET loss = loss * (1 + 1e-15) WHERE trajectory_id = 1 AND step = ?"
            c.execute(text, (at,))
    space.attacks += 1
    faults = oracle.sound(space.database)
    missing = "" if faults else missing_rows(whole, rows(space.database))
    what = f"{how}: {faults[0][1][:200] if faults else missing or 'nothing detectable'}"
    space.history.append(f"database: {what}\n")
    words = ("verify",) if "verify" in space.lab.has else ("objects", "verify")
    ended = space.run(*words)
    stop_if_hung(space, what)
    if ended.code == 0 and (faults or missing):
        space.find("a damaged database goes unnoticed", f"{what}: pipeline {' '.join(words)} exits with 0")
    for words in space.draw.sample([("runs",), ("show", "run1"), ("compare", "run1", "run2"), ("sql", "SELECT * FROM run_steps"), ("diagnose", "run1"), RUN, LONGER], 3):
        space.run(*words, limits=LIMITS)
        stop_if_hung(space, what)
    space.orphans()


def rows(database):
    """The number of rows that a reader finds in each table."""
    counts = {}
    try:
        with oracle.reading(database) as c:
            for (table,) in c.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
                try:
                    counts[table] = len(c.execute(f'SELECT * FROM "{table}"').fetchall())
                except sqlite3.DatabaseError:
                    counts[table] = -1
    except sqlite3.DatabaseError:
        pass
    return counts


def missing_rows(before, now):
    """The tables whose number of rows has changed, in words."""
    return ", ".join(f"{table} has {now.get(table)} of {count} rows" for table, count in before.items() if now.get(table) != count)
