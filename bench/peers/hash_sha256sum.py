#!/usr/bin/env python3
"""Hashes files with coreutils' sha256sum, and prints megabytes per second as one line of JSON.

    hash_sha256sum.py data/store/sha256/*/*

`--openssl` uses `openssl dgst -sha256` instead, which always uses the processor's SHA instructions; some builds of
coreutils do not.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--openssl", action="store_true", help="use openssl instead of sha256sum")
    arguments = parser.parse_args()
    command = ["openssl", "dgst", "-sha256"] if arguments.openssl else ["sha256sum"]
    if shutil.which(command[0]) is None:
        sys.exit(f"error: {command[0]} was not found")
    size = sum(os.path.getsize(path) for path in arguments.files)
    begun = time.perf_counter()
    subprocess.run([*command, *arguments.files], stdout=subprocess.DEVNULL, check=True)
    seconds = time.perf_counter() - begun
    print(json.dumps({"what": f"hash, {command[0]}", "value": size / seconds / 1e6, "unit": "MB/s", "bytes": size}))


if __name__ == "__main__":
    main()
