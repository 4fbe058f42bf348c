"""Power cuts: the image of a mounted disk is copied while programs write. The copy lacks what was not synced."""

import os
import signal
import time

import image
import oracle
from image import call
from lab import Stop
from process import marked

NAME, PER_HOUR = "power", 50


def why_not(lab):
    """Requires the right to mount images."""
    return image.why_not(lab)


def case(space):
    """Power cuts at random moments of one session; each copy is mounted, checked, and used until all is finished."""
    disk = image.new_disk(space)
    commands, records, last, numbers = image.scene(space)
    done = oracle.finished_by_stage(space.database)
    name = "power " + str(commands[0])
    processes = [space.start(*words) for words in commands]
    cuts = []
    for _ in range(2):
        space.moment(processes, space.lab.span(name) * 0.6)
        if cuts and not any(process.alive() for process in processes):
            break
        # Collect what was reported and committed before the cut: it must survive.
        said = {}
        for process in processes:
            image.add(said, oracle.said(process.said()[1]))
        seen = oracle.seen(space.database, alive=True, what=oracle.DURABLE)
        alive = any(process.alive() for process in processes)
        copy = disk.image.with_suffix(f".{len(cuts)}")
        if not cut(space, disk, copy):
            copy.unlink(missing_ok=True)
            continue
        space.history.append(f"cut after {time.monotonic() - processes[0].began:.3f} s; reported {said}, alive {alive}\n")
        cuts.append((copy, said, seen))
        space.attacks += alive
    image.stop_all(space)
    for process in processes:
        process.end()
    space.orphans()
    disk.gone()
    for copy, said, seen in cuts:
        after = image.Disk(space, copy, "disk")
        after.mount()
        space.work = after.where / "work"
        space.hung = False
        if space.database.exists():
            image.held(space, seen, done, said, space.database)
            space.find_all(oracle.sound(space.database) if space.database.stat().st_size else [])
        elif any(seen.values()) or said:
            space.find("reported as done but missing", f"no database; reported {said}")
        began = time.monotonic()
        try:
            space.finish(records, last, numbers)
        except Stop:
            pass
        space.lab.span(name, time.monotonic() - began)
        if space.findings and not space.kept:
            # Keep the disk in its present state.
            space.keep()
        after.gone()


def cut(space, disk, copy):
    """Copies the image at one instant. Returns whether that succeeded."""
    if space.lab.reflinks:
        return call("cp", "--reflink=always", disk.image, copy, check=False).returncode == 0
    # Nothing may write during the copy: programs are stopped, and the device's counters must not change.
    stat = f"/sys/block/{disk.device()}/stat"
    try:
        for _ in range(5):
            for pid in marked(space.mark):
                send(pid, signal.SIGSTOP)
            time.sleep(0.01)
            with open(stat) as file:
                before = file.read().split()[4:9]
            call("cp", "--sparse=always", disk.image, copy)
            with open(stat) as file:
                if file.read().split()[4:9] == before and before[4] == "0":
                    return True
            for pid in marked(space.mark):
                send(pid, signal.SIGCONT)
            time.sleep(0.01)
        return False
    finally:
        for pid in marked(space.mark):
            send(pid, signal.SIGCONT)


def send(pid, number):
    """Sends a signal to a process that may have ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
