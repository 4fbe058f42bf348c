"""Disks that fill up (the store's, the database's or both; bytes or inodes) and file size limits; then room again."""

import os
import resource
import shutil
import subprocess

import oracle
from lab import RUN, Stop

NAME, PER_HOUR = "disks", 132


def why_not(lab):
    """Requires the right to mount."""
    probe = subprocess.run(["unshare", "-m", "sh", "-c", "mount -t tmpfs none /mnt"], capture_output=True)
    return None if probe.returncode == 0 and os.environ.get("TORTURE_INSIDE") else "mounting requires root"


def case(space):
    """One or two runs on a disk that is too small, then one on a disk with room."""
    draw = space.draw
    kind = draw.choice(["store", "database", "both", "inodes", "limit", "blocks"])
    space.history.append(f"kind: {kind}\n")
    if kind == "limit":
        return limited(space)
    disk = space.work / "disk"
    disk.mkdir()
    if kind == "blocks":
        image = space.root / "image"
        format_image(image, draw.randint(600, 5000) * 1024)
        mount(space, disk, "loop", image)
    else:
        limit = f"nr_inodes={draw.randint(1, 70)},size=99m" if kind == "inodes" else f"size={draw.randint(4, 3600)}k"
        mount(space, disk, limit, "none", "-t", "tmpfs")
    places = {"store": ("--db", "experiments.db", "--store", "disk/store"), "database": ("--db", "disk/experiments.db", "--store", "store")}
    words = RUN + places.get(kind, ("--db", "disk/experiments.db", "--store", "disk/store"))
    space_database = space.work / words[words.index("--db") + 1]
    store = space.work / words[words.index("--store") + 1]
    met = False
    for _ in range(draw.choice([1, 1, 2])):
        met = fill(space, words, space_database) or met
    # Make room.
    if kind == "blocks":
        # Move the files to a larger disk.
        spare = space.root / "spare"
        subprocess.run(["cp", "-a", disk, spare], check=True)
        subprocess.run(["umount", disk], check=True)
        image.unlink()
        format_image(image, 24 << 20)
        mount(space, disk, "loop", image)
        subprocess.run(["cp", "-a", f"{spare}/.", disk], check=True)
        shutil.rmtree(spare)
    else:
        subprocess.run(["mount", "-o", "remount,size=99m,nr_inodes=9999", disk], check=True)
    recover(space, words, space_database, store)


def format_image(image, size):
    """Makes an ext4 filesystem in a file. Its blocks are as large as pages: with smaller blocks, SQLite's shared memory
    can have holes.
    """
    with open(image, "wb") as file:
        file.truncate(size)
    subprocess.run(["mkfs.ext4", "-q", "-m0", "-b", "4096", "-O", "^has_journal", image], check=True)


def mount(space, where, options, what, *more):
    """Mounts something until the case ends."""
    subprocess.run(["mount", *more, "-o", options, what, where], check=True)
    space.undo.append(lambda: subprocess.run(["umount", "-l", where], capture_output=True))


def limited(space):
    """A run under a file size limit (ulimit -f): the system sends SIGXFSZ and refuses the write."""
    words = RUN + ("--db", "experiments.db", "--store", "store")
    limit = int(2 ** space.draw.uniform(9, 20))
    space.history.append(f"limit: {limit} bytes\n")
    fill(space, words, space.work / "experiments.db", limits=[(resource.RLIMIT_FSIZE, limit)])
    recover(space, words, space.work / "experiments.db", space.work / "store")


def fill(space, words, database, limits=()):
    """Runs, and returns whether the run met the end of the disk."""
    before = oracle.seen(database)
    ended = space.run(*words, limits=limits)
    if space.hung:
        raise Stop
    if ended.code == 0:
        return False
    space.attacks += 1
    if ended.code == 2:
        space.find("a full disk counts as wrong input", ended.error() or str(ended))
    space.orphans()
    if not database.exists() or database.stat().st_size == 0:
        return True
    space.find_all(oracle.lost(before, oracle.seen(database)))
    space.find_all(oracle.sound(database) if oracle.seen(database)["finished execution"] else [])
    try:
        with oracle.reading(database) as c:
            failed = c.execute("SELECT count(*) FROM runs WHERE status = 'failed'").fetchone()[0]
        if failed:
            space.find("a full disk counts as a failure", f"{failed} runs failed after: {ended.error()}")
    except oracle.sqlite3.DatabaseError:
        # Nothing was committed yet.
        pass
    return True


def recover(space, words, database, store):
    """Runs with room: everything must finish under the same run numbers with the same bits, and runs that had ended
    must show what they showed.
    """
    ended_before = oracle.ended(database) if database.exists() else {}
    before = oracle.seen(database)
    ended = space.run(*words)
    if space.hung:
        raise Stop
    if ended.code != 0:
        space.find("the run after the attack failed", f"exit {ended.code}: {ended.error()}")
        raise Stop
    if space.run(*words).executed() not in (0, None):
        space.find("recomputed", space.history[-1])
    space.orphans()
    space.find_all(oracle.changed(ended_before, oracle.ended(database)))
    space.find_all(oracle.lost(before, oracle.seen(database)))
    space.find_all(oracle.examine(database, store))
    space.find_all(oracle.compare(space.lab.reference("first").picture, oracle.picture(database)))
    space.find_all(oracle.leftovers(space.work))
