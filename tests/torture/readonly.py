"""Disks that turn read-only or fail under programs that write; then they are repaired, mounted and used again."""

import fcntl
import os
import struct
import time

import image
import oracle
from image import call

NAME, PER_HOUR = "readonly", 50
# EXT4_IOC_SHUTDOWN shuts the filesystem down at once; flag 2 means without flushing its journal.
SHUTDOWN, NOLOGFLUSH = 0x8004587D, 2


def why_not(lab):
    """Requires the right to mount images."""
    return image.why_not(lab)


def case(space):
    """One session on a disk that fails at a random moment, then one on the repaired disk."""
    disk = image.new_disk(space)
    commands, records, last, numbers = image.scene(space)
    done = oracle.finished_by_stage(space.database)
    ended_before = oracle.ended(space.database)
    name = "readonly " + str(commands[0])
    processes = [space.start(*words) for words in commands]
    space.moment(processes, space.lab.span(name))
    seen = oracle.seen(space.database, alive=True, what=oracle.DURABLE)
    alive = any(process.alive() for process in processes)
    how = "shutdown" if space.draw.random() < 0.35 else "abort"
    if how == "abort":
        call("mount", "-o", "remount,abort", disk.where)
    else:
        folder = os.open(disk.where, os.O_RDONLY)
        fcntl.ioctl(folder, SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        os.close(folder)
    space.history.append(f"{how} after {time.monotonic() - processes[0].began:.3f} s; alive {alive}\n")
    space.attacks += alive
    said = {}
    for process in processes:
        ended = process.end()
        if not alive:
            space.lab.span(name, ended.seconds)
        # The failure is visible to the program, so what it reports afterwards must be true as well.
        image.add(said, oracle.said(ended.err))
        if how == "shutdown" and ended.code == -7:
            # SQLite's shared memory maps a file whose page can no longer be read.
            space.find("SIGBUS", str(ended)[-400:])
        else:
            space.manners(ended)
    space.orphans()
    disk.unmount()
    checked = call("e2fsck", "-fy", disk.image, check=False)
    if checked.returncode > 1:
        space.history.append(checked.stdout)
    disk.mount()
    image.stop_if_hung(space)
    if space.database.exists():
        image.held(space, seen, done, said, space.database)
        space.find_all(oracle.sound(space.database) if space.database.stat().st_size else [])
    elif said or any(seen.values()):
        space.find("reported as done but missing", f"no database; reported {said}")
    if ended_before:
        space.find_all(oracle.changed(ended_before, oracle.ended(space.database)))
    failed = []
    if space.database.exists() and space.database.stat().st_size:
        try:
            with oracle.reading(space.database) as c:
                failed = c.execute("SELECT id, error FROM runs WHERE status = 'failed'").fetchall()
        except oracle.sqlite3.DatabaseError:
            pass
    space.finish(records, last, numbers and not failed)
