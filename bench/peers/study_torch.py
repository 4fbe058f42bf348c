#!/usr/bin/env python3
"""Trains the model of train_torch.py at several learning rates, one after another, as a shell loop does.

    study_torch.py --text data/ptb/ptb.train.txt --steps 200

Each rate is a separate process with all threads: it reads the text, trains, and writes its weights. `--jobs 2
--threads 1` is the better loop: `xargs -P 2` with one thread each. Prints the seconds from the first start to the last
result as one line of JSON.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RATES = "0.05,0.1,0.2,0.4,0.6,0.8,1.0,1.2"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True, help="a corpus")
    parser.add_argument("--steps", type=int, default=200, help="steps of each training (default: %(default)s)")
    parser.add_argument("--rates", default=RATES, help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads of each training (default: %(default)s)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time (default: %(default)s)")
    arguments = parser.parse_args()
    script = Path(__file__).with_name("train_torch.py")

    def train(rate):
        command = [sys.executable, script, "--text", arguments.text, "--rate", rate, "--steps", str(arguments.steps)]
        command += ["--warmup", "0", "--threads", str(arguments.threads), "--save", f"{scratch}/{rate}.pt", "--device", arguments.device]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise SystemExit(done.returncode)
        return json.loads(done.stdout)["last_loss"]

    with tempfile.TemporaryDirectory(prefix="study-") as scratch, ThreadPoolExecutor(arguments.jobs) as pool:
        begun = time.perf_counter()
        losses = list(pool.map(train, arguments.rates.split(",")))
        seconds = time.perf_counter() - begun
    what = f"study of {len(losses)} rates, PyTorch, {arguments.jobs} at a time with {arguments.threads} threads each"
    print(json.dumps({"what": what, "value": seconds, "unit": "s", "last_losses": losses}))


if __name__ == "__main__":
    main()
