#!/usr/bin/env python3
"""Installs libtorch into the user's cache folder and tells cargo where it is.

    scripts/libtorch.py                 the CPU-only tree (0.5 GB), or the tree that .cargo/config.toml already names
    scripts/libtorch.py --cpu | --cuda  that tree, whatever the file names now
    scripts/libtorch.py --dry-run       print what would be fetched, and touch nothing

If the environment variable LIBTORCH names a tree of the right version, that tree is used and nothing is fetched.
stdout is the tree's path; progress and errors go to stderr.

The libraries come from wheels that pip fetches, because pip is the one downloader whose index, proxy and certificates
the user has already configured. Each wheel is pinned by SHA-256, unpacked member by member into a folder beside the
tree, and deleted; that folder is renamed into place when it is complete. So a tree that exists is complete, and needs
no second check. Only the standard library is required.
"""

import argparse
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

# tch 0.24 pairs with this version exactly; torch-sys compares `build-version` with it.
VERSION = "2.11.0"

# Only pip of the user's Python is used. Every torch wheel has the same libraries, so one wheel is pinned for all users.
PYTHON = "3.11"

# Project: version, platform tag, bytes, SHA-256. The versions are those that torch 2.11.0 requires through
# cuda-toolkit 13.0.2. The CPU libraries are linked against the profiler (CUPTI) and the CUDA runtime, so both trees
# need these two.
WHEELS = {
    "torch": ("2.11.0", "manylinux_2_28_x86_64", 530604548, "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a"),
    "nvidia-cuda-cupti": ("13.0.85", "manylinux_2_25_x86_64", 10715597, "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8"),
    "nvidia-cuda-runtime": ("13.0.96", "manylinux_2_17_x86_64", 2243632, "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548"),
    "nvidia-cublas": ("13.1.0.3", "manylinux_2_27_x86_64", 423133236, "ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171"),
    "nvidia-cuda-nvrtc": ("13.0.88", "manylinux_2_12_x86_64", 90215200, "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575"),
    "nvidia-cudnn-cu13": ("9.19.0.56", "manylinux_2_27_x86_64", 366066321, "d20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf"),
    "nvidia-cufft": ("12.0.0.61", "manylinux_2_17_x86_64", 214085489, "6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3"),
    "nvidia-cufile": ("1.15.1.6", "manylinux_2_17_x86_64", 1223672, "08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44"),
    "nvidia-curand": ("10.4.0.35", "manylinux_2_27_x86_64", 59544258, "1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc"),
    "nvidia-cusolver": ("12.0.4.66", "manylinux_2_27_x86_64", 200941980, "0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112"),
    "nvidia-cusparse": ("12.6.3.3", "manylinux_2_17_x86_64", 145942937, "2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b"),
    "nvidia-cusparselt-cu13": ("0.8.0", "manylinux2014_x86_64", 169884119, "25e30a8a7323935d4ad0340b95a0b69926eee755767e8e0b1cf8dd85b197d3fd"),
    "nvidia-nccl-cu13": ("2.28.9", "manylinux_2_18_x86_64", 196493177, "e4553a30f34195f3fa1da02a6da3d6337d28f2003943aa0a3d247bbc25fefc42"),
    "nvidia-nvjitlink": ("13.0.88", "manylinux_2_12_x86_64", 40713933, "13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b"),
    "nvidia-nvshmem-cu13": ("3.4.5", "manylinux_2_17_x86_64", 60412546, "290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80"),
}  # fmt: skip

CPU_WHEELS = ("torch", "nvidia-cuda-cupti", "nvidia-cuda-runtime")

# Size of the installed libraries in bytes, rounded up; the CUDA figure is an estimate.
INSTALLED = {"cpu": 600 * 10**6, "cuda": 6 * 10**9}

CPU_LIBRARIES = re.compile(r"torch/lib/(libtorch_cpu\.so|libc10\.so|libgomp[^/]*\.so[^/]*)|nvidia/[^/]+/lib/(libcupti|libcudart)\.so\.\d+")
# Left out: Python's binding, which needs libpython, and libshm, which its data loader uses.
CUDA_LIBRARIES = re.compile(r"torch/lib/(?!libtorch_python|libshm)[^/]+\.so[^/]*|nvidia/[^/]+/lib/[^/]+\.so[^/]*")
HEADERS = re.compile(r"torch/include/.+[^/]")
LICENSES = re.compile(r"[^/]+\.dist-info/(?:licenses/)?((?:LICENSE|License|NOTICE)[^/]*)")

CONFIG_MARK = "# Written by scripts/libtorch.py"


class Refusal(Exception):
    """An error that the user can fix: one line for the error, one for the hint."""

    def __init__(self, error, hint):
        super().__init__(error)
        self.hint = hint


def say(message):
    print(message, file=sys.stderr, flush=True)


def megabytes(count):
    return f"{count / 1e6:,.0f} MB"


# --- The tree -------------------------------------------------------------------------------------------------------


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says to ignore a relative XDG_CACHE_HOME.
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "pipeline"


class Tree:
    """One variant of libtorch in the cache: `folder` is renamed into place, `libtorch` is the path that cargo gets."""

    def __init__(self, variant):
        self.variant = variant
        self.folder = cache_folder() / f"libtorch-{VERSION}-{variant}"
        self.partial = self.folder.with_name(self.folder.name + ".partial")
        self.wheels = CPU_WHEELS if variant == "cpu" else tuple(WHEELS)
        # The CUDA libraries find each other by runpaths like `$ORIGIN/../../nvidia/cu13/lib`, and load some by name at
        # run time. So the CUDA tree keeps the layout of the wheels, and libtorch is its folder `torch`.
        self.inside = "." if variant == "cpu" else "torch"

    @property
    def libtorch(self):
        return self.folder if self.inside == "." else self.folder / self.inside

    def destination(self, member):
        """The place in the tree of a wheel's member, or None if the member is not needed."""
        licence = LICENSES.fullmatch(member)
        if licence:
            project = member.split("-")[0]
            return f"licenses/{project}-{licence[1]}"
        if self.variant == "cuda":
            return member if HEADERS.fullmatch(member) or CUDA_LIBRARIES.fullmatch(member) else None
        if HEADERS.fullmatch(member):
            return member[len("torch/") :]
        # All in one folder: each of these libraries searches its own folder.
        return f"lib/{member.rsplit('/', 1)[1]}" if CPU_LIBRARIES.fullmatch(member) else None

    def finish(self):
        """Adds the files that no wheel contains."""
        top = self.partial / self.inside
        if self.variant == "cpu":
            # torch-sys links `-ltorch`, and the wheel's libtorch.so pulls in CUDA. A linker script takes its place.
            (top / "lib" / "libtorch.so").write_text("INPUT(-ltorch_cpu)\n")
        (top / "build-version").write_text(VERSION + "\n")


def check_libtorch(path, origin):
    """Refuses a tree that torch-sys can't build against."""
    away = f"unset {origin}" if origin == "LIBTORCH" else f"delete {origin}"
    hint = f"{away} to fetch the CPU build, or point it at libtorch {VERSION}"
    if origin == "LIBTORCH" and not os.path.isabs(path):
        raise Refusal(
            f"LIBTORCH is not an absolute path: {path}", "give the full path: cargo runs build scripts in other folders"
        )
    libraries = path / "lib"
    if not any((libraries / name).exists() for name in ("libtorch.so", "libtorch.a", "libtorch_cpu.so")):
        raise Refusal(f"{origin} does not name a libtorch: {libraries} has no libtorch.so", hint)
    version_file = path / "build-version"
    if version_file.exists() and "LIBTORCH_BYPASS_VERSION_CHECK" not in os.environ:
        version = version_file.read_text().strip()
        if version.split("+")[0] != VERSION:
            raise Refusal(f"{origin} names libtorch {version}, but this program requires {VERSION}: {path}", hint)


# --- Fetching -------------------------------------------------------------------------------------------------------


def check_platform():
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        raise Refusal(
            f"libtorch can be fetched only for Linux on x86_64, not for {system} on {machine}",
            f"install libtorch {VERSION} yourself and set LIBTORCH to its folder",
        )
    library, version = platform.libc_ver()
    if library != "glibc" or tuple(int(part) for part in version.split(".")[:2]) < (2, 28):
        raise Refusal(
            f"libtorch {VERSION} requires glibc 2.28 or later; this system has "
            f"{library or 'another C library'} {version}".rstrip(),
            f"install libtorch {VERSION} yourself and set LIBTORCH to its folder",
        )


def check_pip():
    # Run from another folder, so that a file pip.py in the current one is not mistaken for pip.
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, cwd="/").returncode != 0:
        raise Refusal(
            f"{sys.executable} has no pip, which is required to fetch libtorch",
            "install it (Debian: apt install python3-pip; elsewhere: python3 -m ensurepip --user), or set LIBTORCH",
        )


def check_space(tree):
    # At the peak, the disk holds the tree and the largest wheel twice: pip's temporary copy and the finished file.
    needed = INSTALLED[tree.variant] + 2 * max(WHEELS[name][2] for name in tree.wheels)
    free = shutil.disk_usage(tree.folder.parent).free
    if free < needed:
        raise Refusal(
            f"{tree.folder.parent} has {megabytes(free)} free, but installing libtorch requires {megabytes(needed)}",
            "free some space, or set XDG_CACHE_HOME to a folder on another disk",
        )


def download(name, into):
    """Fetches one pinned wheel, checks its digest and returns its path."""
    version, tag, size, digest = WHEELS[name]
    into.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"]
    # Not in pip's cache: the tree is the cache.
    command += ["--no-cache-dir", "--quiet" if not sys.stderr.isatty() else "--progress-bar=on"]
    command += ["--implementation", "cp", "--python-version", PYTHON, "--platform", tag, "--dest", str(into)]
    # `===` takes exactly this version; `==` would prefer a local version such as 2.11.0+cpu if the user's index has one.
    command.append(f"{name}==={version}")
    say(f"fetching {name} {version} ({megabytes(size)})")
    # pip's temporary files go beside the wheel: /tmp may be small, and an interruption then leaves nothing behind.
    environment = {**os.environ, "TMPDIR": str(into)}
    if subprocess.run(command, stdout=sys.stderr.fileno(), env=environment, cwd=into).returncode != 0:
        raise Refusal(
            f"pip could not fetch {name} {version}",
            "see pip's message above; `python3 -m pip config list` shows its index, proxy and certificates",
        )
    wheels = list(into.glob("*.whl"))
    if len(wheels) != 1:
        raise Refusal(
            f"pip fetched {len(wheels)} wheels for {name} {version}, but one was expected",
            "try again with another version of pip",
        )
    check_digest(wheels[0], digest)
    return wheels[0]


def check_digest(wheel, expected):
    digest = hashlib.sha256()
    with open(wheel, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != expected:
        raise Refusal(
            f"{wheel.name} has SHA-256 {digest.hexdigest()}, but {expected} is pinned; the file was not used",
            "a proxy or mirror changed the file or serves another build: give pip another index, or set LIBTORCH",
        )


def unpack(wheel, tree):
    with zipfile.ZipFile(wheel) as archive:
        members = [(info, place) for info in archive.infolist() if (place := tree.destination(info.filename))]
        total = sum(info.file_size for info, _ in members)
        say(f"unpacking {len(members):,} of its {len(archive.infolist()):,} files ({megabytes(total)})")
        done, shown = 0, -1
        for info, place in members:
            target = tree.partial / place
            target.parent.mkdir(parents=True, exist_ok=True)
            # Reading to the end also checks the CRC.
            with archive.open(info) as source, open(target, "wb") as sink:
                while block := source.read(1 << 20):
                    sink.write(block)
                    done += len(block)
                    if sys.stderr.isatty() and done * 100 // total > shown:
                        shown = done * 100 // total
                        print(f"\r{shown:3} %", end="\n" if done == total else "", file=sys.stderr, flush=True)


def install(tree):
    check_platform()
    tree.folder.parent.mkdir(parents=True, exist_ok=True)
    with open(tree.folder.parent / "libtorch.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another process that is installing libtorch")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if tree.folder.exists():
            return
        check_pip()
        # A partial tree was left by a killed process: this process holds the lock, so the tree may be removed.
        shutil.rmtree(tree.partial, ignore_errors=True)
        check_space(tree)
        fetched = sum(WHEELS[name][2] for name in tree.wheels)
        say(f"installing libtorch {VERSION} ({tree.variant}) into {tree.folder}: {megabytes(fetched)} to fetch")
        try:
            tree.partial.mkdir()
            for name in tree.wheels:
                box = tree.partial / "wheel"
                unpack(download(name, box), tree)
                shutil.rmtree(box)
            tree.finish()
            # The new name must not reach the disk before the bytes do.
            os.sync()
            tree.partial.rename(tree.folder)
        finally:
            shutil.rmtree(tree.partial, ignore_errors=True)


# --- cargo's configuration ------------------------------------------------------------------------------------------


def config_file():
    return Path(__file__).resolve().parent.parent / ".cargo" / "config.toml"


def configured():
    """The tree that .cargo/config.toml names, or None."""
    try:
        text = config_file().read_text()
    except FileNotFoundError:
        return None
    found = re.search(r'^\s*(?:env\.)?LIBTORCH\s*=\s*("(?:[^"\\]|\\.)*")', text, re.MULTILINE)
    return Path(json.loads(found[1])) if found else None


def new_config(libtorch):
    """The configuration that names this tree, or None if it already does. Refuses to replace a file that is not ours."""
    path = config_file()
    # A JSON string is a TOML string. The entry is not forced, so LIBTORCH in the environment takes precedence.
    entry = f"[env]\nLIBTORCH = {json.dumps(str(libtorch), ensure_ascii=False)}\n"
    text = f"{CONFIG_MARK}, which make runs. Do not commit.\n{entry}"
    if path.exists():
        old = path.read_text()
        if old == text or configured() == libtorch:
            return None
        if not old.startswith(CONFIG_MARK):
            raise Refusal(
                f"{path} was not written by this script, so it was left unchanged",
                f"add to it: {entry.strip().replace(chr(10), ' / ')}",
            )
    return text


def write_config(text):
    path = config_file()
    path.parent.mkdir(exist_ok=True)
    beside = path.with_name(f"config.toml.{os.getpid()}")
    beside.write_text(text)
    beside.rename(path)


# --- The command ----------------------------------------------------------------------------------------------------


def choose(variant):
    """The path of the tree to use, and the tree itself if it is ours and may have to be fetched."""
    given = os.environ.get("LIBTORCH")
    if given:
        check_libtorch(Path(given), "LIBTORCH")
        if variant:
            say(f"using {given} from LIBTORCH; the {variant} build is not installed")
        return Path(given), None
    named = configured()
    trees = {name: Tree(name) for name in ("cpu", "cuda")}
    if variant is None and named:
        ours = next((tree for tree in trees.values() if tree.libtorch == named), None)
        if ours:
            return named, ours
        # The user's own tree, from an earlier call with LIBTORCH set. If it is gone, fall back to ours.
        if named.exists():
            check_libtorch(named, ".cargo/config.toml")
            return named, None
    tree = trees[variant or "cpu"]
    return tree.libtorch, tree


def main():
    parser = argparse.ArgumentParser(
        description="Install libtorch into the user's cache folder and tell cargo where it is"
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--cpu", dest="variant", action="store_const", const="cpu", help="the CPU-only build (the default)")
    group.add_argument("--cuda", dest="variant", action="store_const", const="cuda", help="the full CUDA build")
    parser.add_argument("--dry-run", action="store_true", help="print what would be fetched, and touch nothing")
    arguments = parser.parse_args()

    libtorch, tree = choose(arguments.variant)
    if arguments.dry_run:
        if tree and not tree.folder.exists():
            for name in tree.wheels:
                version, tag, size, digest = WHEELS[name]
                say(f"would fetch {name} {version} {tag} {size:>11,} bytes sha256:{digest}")
            say(f"would fetch {megabytes(sum(WHEELS[name][2] for name in tree.wheels))} in all")
        else:
            say("would fetch nothing")
        say(f"would write LIBTORCH = {libtorch} to {config_file()}")
        return
    # First, so that a refusal does not come after half a gigabyte was fetched.
    text = new_config(libtorch)
    if tree and not tree.folder.exists():
        install(tree)
    if text:
        write_config(text)
    print(libtorch)


if __name__ == "__main__":
    # So that `finally` also removes a partial tree after SIGTERM.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except Refusal as refusal:
        say(f"error: {refusal}\nhint: {refusal.hint}")
        sys.exit(1)
    except OSError as error:
        say(f"error: {error}\nhint: check the space and permissions of {cache_folder()}")
        sys.exit(1)
    except KeyboardInterrupt:
        say("\ninterrupted; nothing was installed")
        sys.exit(130)
