"""Disks in a file: ext4 in an image mounted through a loop device, for power cuts and for disks that turn read-only."""

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import oracle
from lab import LONGER, RUN, Stop
from process import end, marked

SIZE = 40 << 20
SHARED = ("run", "attack.toml", "--jobs", "1", "--threads", "1")
GATE = threading.Lock()


def call(*words, check=True):
    """Runs a system tool."""
    return subprocess.run([str(word) for word in words], check=check, capture_output=True, text=True)


def why_not(lab):
    """Requires the right to mount an image, and the tools for it."""
    missing = next((tool for tool in ("losetup", "mkfs.ext4", "e2fsck", "mount") if not shutil.which(tool)), None)
    if missing:
        return f"{missing} is not installed"
    if not os.environ.get("TORTURE_INSIDE"):
        return "mounting requires root"
    template = lab.folder / "ext4"
    try:
        if not template.exists():
            with open(template, "wb") as file:
                file.truncate(SIZE)
            call("mkfs.ext4", "-q", "-m0", "-b", "4096", "-F", "-J", "size=4", template)
        probe = lab.folder / "probe"
        probe.mkdir(exist_ok=True)
        call("mount", "-o", "loop", template, probe)
        call("umount", probe)
    except (subprocess.CalledProcessError, OSError) as error:
        return f"loop devices can't be mounted here: {getattr(error, 'stderr', error)}".strip()
    return None


def shelf(lab):
    """A folder for images. On a filesystem with reflinks (XFS, itself in an image) a copy is instantaneous, like a
    power cut; elsewhere programs are stopped while the copy is made.
    """
    with lab.lock:
        if not hasattr(lab, "shelf"):
            lab.shelf, lab.reflinks = lab.folder / "images", False
            lab.shelf.mkdir()
            memory = Path("/dev/shm")
            if shutil.which("mkfs.xfs") and os.access(memory, os.W_OK):
                holder = memory / f"torture-{os.getpid()}"
                try:
                    with open(holder, "wb") as file:
                        file.truncate(1 << 30)
                    call("mkfs.xfs", "-q", "-m", "reflink=1", holder)
                    call("mount", "-o", "loop", holder, lab.shelf)
                    lab.reflinks = True
                except (subprocess.CalledProcessError, OSError):
                    pass
                finally:
                    # The mount keeps the file, and ends with the namespace.
                    holder.unlink()
        return lab.shelf


class Disk:
    """An image, mounted as the case's working folder."""

    def __init__(self, space, image, name):
        self.space, self.image, self.where = space, image, space.root / name
        self.where.mkdir(exist_ok=True)
        self.mounted = False
        space.undo.append(self.gone)

    def mount(self, options="loop"):
        """Mounts the image, which replays the filesystem's journal."""
        call("mount", "-o", options, self.image, self.where)
        self.mounted = True

    def device(self):
        """The name of its loop device, such as loop3."""
        return Path(call("findmnt", "-no", "SOURCE", self.where).stdout.strip()).name

    def unmount(self):
        """Unmounts the image, after waiting for what still uses it."""
        for _ in range(100):
            if call("umount", self.where, check=False).returncode == 0:
                break
            time.sleep(0.05)
        else:
            call("umount", "-l", self.where, check=False)
        self.mounted = False

    def gone(self):
        """Unmounts and deletes the image."""
        if self.mounted:
            self.unmount()
        if self.image.exists():
            self.image.unlink()


def new_disk(space):
    """A mounted disk that contains the corpus and the experiment."""
    folder = shelf(space.lab)
    image = folder / f"{space.mark}.img"
    call("cp", "--sparse=always", space.lab.folder / "ext4", image)
    disk = Disk(space, image, "disk")
    disk.mount()
    space.work = disk.where / "work"
    space.work.mkdir()
    space.lab.furnish(space.work)
    return disk


def scene(space):
    """What runs during the attack: the commands, the records that must result, the last command, and whether run
    numbers must match.
    """
    which = space.draw.choices(["first", "longer", "two", "resume"], [4, 2, 2, 3])[0]
    space.history.append(f"scene: {which}\n")
    if which == "longer":
        space.fill("first")
    if which == "resume":
        process = space.start(*RUN)
        time.sleep(space.draw.random() * space.lab.span("run"))
        process.signal(9)
        process.child.wait()
        space.orphans()
    call("sync", "-f", space.work)
    commands = {"first": [RUN], "longer": [LONGER], "two": [SHARED, SHARED], "resume": [RUN]}[which]
    last = LONGER if which == "longer" else RUN
    return commands, (["first", "longer"] if which == "longer" else "first"), last, which != "two"


def stop_all(space):
    """Ends all processes of the case."""
    for pid in marked(space.mark):
        end(pid)


def held(space, before, done, said, database):
    """Checks that what was reported as done, or seen as accepted, is still in the record."""
    space.find_all(oracle.lost(before, oracle.seen(database, what=oracle.DURABLE)))
    counts = oracle.finished_by_stage(database)
    for stage, count in said.items():
        if counts.get(stage, 0) < count + done.get(stage, 0):
            there = counts.get(stage, 0) - done.get(stage, 0)
            space.find("reported as done but missing", f"{stage}: {count} reported, {there} found")


def add(counts, more):
    """Adds `more` to `counts`."""
    for stage, count in more.items():
        counts[stage] = counts.get(stage, 0) + count
    return counts


def stop_if_hung(space):
    """Ends the case after a hang."""
    if space.hung:
        raise Stop
