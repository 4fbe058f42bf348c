#!/usr/bin/env python3
"""Replaces `pipeline-neural`: passes everything on except for one lie, which TORTURE_LIE describes in JSON.

    {"what": "step", "nth": 30, "set": {"loss": -1.0}}    change fields of the thirtieth reply of that kind
    {"what": "step", "nth": 30, "act": "torn"}            or do something else in its place (see `act`)

TORTURE_REAL is the real worker. TORTURE_TOLD names a file that is created when the lie is told.
"""

import json
import os
import struct
import subprocess
import sys
import threading
import time

REAL, LIE = os.environ["TORTURE_REAL"], json.loads(os.environ["TORTURE_LIE"])


def told():
    with open(os.environ["TORTURE_TOLD"], "a") as file:
        file.write("x")


def frame(data):
    return struct.pack("<I", len(data)) + data


def write(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def act(how, data, worker):
    """Does something that no worker does, and returns the data to pass on afterwards, or None."""
    if how == "torn":
        write(frame(data)[: 4 + len(data) // 2])
        leave(worker)
    elif how == "half_length":
        write(frame(data)[:2])
        leave(worker)
    elif how == "too_long":
        write(struct.pack("<I", 0xFFFFFFFF) + data)
    elif how == "long_promise":
        write(struct.pack("<I", 60 << 20) + data)
        leave(worker)
    elif how == "zero_length":
        write(struct.pack("<I", 0))
    elif how == "garbage":
        write(frame(os.urandom(200)))
    elif how == "no_utf8":
        write(frame(b'{"reply":"event","step":1,"kind":"x","message":"\xff\xfe"}'))
    elif how == "unknown":
        write(frame(b'{"reply":"dance"}'))
    elif how == "more_fields":
        return json.dumps({**json.loads(data), "surprise": 1}).encode()
    elif how == "fewer_fields":
        return json.dumps(dict(list(json.loads(data).items())[:-1])).encode()
    elif how == "deep":
        write(frame(b"[" * 200_000))
    elif how == "twice":
        write(frame(data))
    elif how == "left_out":
        return None
    elif how == "plain_text":
        write(b"Traceback (most recent call last):\n")
    elif how == "leave_0":
        leave(worker, 0)
    elif how == "leave_3":
        leave(worker, 3)
    elif how == "crash":
        worker.kill()
        os.abort()
    elif how == "child":
        # The child keeps the pipe open.
        if os.fork() == 0:
            time.sleep(90)
            os._exit(0)
        leave(worker)
    elif how == "child_after_all":
        if os.fork() == 0:
            time.sleep(90)
            os._exit(0)
    elif how == "silence":
        worker.send_signal(19)
        time.sleep(3600)
    elif how == "stopped":
        # The worker and the proxy are stopped, as by Ctrl-Z.
        worker.send_signal(19)
        os.kill(os.getpid(), 19)
    elif how == "chatter":
        line = b"a line of a log that does not end\n" * 30_000
        for _ in range(40):
            sys.stderr.buffer.write(line)
    elif how == "events":
        for i in range(3000):
            write(frame(json.dumps({"reply": "event", "step": 1, "kind": "x", "message": f"\x1b[2J event {i}"}).encode()))
    elif how == "huge_event":
        write(frame(json.dumps({"reply": "event", "step": 1, "kind": "x" * 100_000, "message": "y" * 20_000_000}).encode()))
    elif how == "failed":
        write(frame(json.dumps({"reply": "failed", "order": 1, "message": "\x1b[31mred\x1b[0m\x07\nerror: two\nlines " + "z" * 1_000_000}).encode()))
    return data


def leave(worker, code=1):
    worker.kill()
    sys.stdout.flush()
    os._exit(code)


def serve():
    worker = subprocess.Popen([REAL, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def forward():
        deaf = LIE.get("act") == "deaf"
        while True:
            head = sys.stdin.buffer.read(4)
            if len(head) < 4:
                break
            data = sys.stdin.buffer.read(*struct.unpack("<I", head))
            if deaf and b'"stop"' in data:
                told()
                continue
            worker.stdin.write(head + data)
            worker.stdin.flush()
        worker.stdin.close()

    threading.Thread(target=forward, daemon=True).start()
    count = 0
    while True:
        head = worker.stdout.read(4)
        if len(head) < 4:
            break
        data = worker.stdout.read(*struct.unpack("<I", head))
        message = json.loads(data)
        if message["reply"] == LIE["what"]:
            count += 1
            if count == LIE["nth"]:
                if LIE.get("act") != "deaf":
                    told()
                if "set" in LIE:
                    message.update(LIE["set"])
                    data = json.dumps(message).encode()
                if "add" in LIE:
                    for name, more in LIE["add"].items():
                        message[name] = message.get(name, 0) + more
                    data = json.dumps(message).encode()
                if "act" in LIE:
                    data = act(LIE["act"], data, worker)
        if data is not None:
            write(frame(data))
    os._exit(worker.wait() & 0xFF)


def describe():
    if LIE["what"] != "describe":
        os.execv(REAL, [REAL, "describe"])
    told()
    how = LIE["act"]
    if how == "endless":
        while True:
            sys.stdout.write("x" * 65536)
    elif how == "empty":
        sys.exit(0)
    elif how == "fails":
        sys.exit("\x1b[31mno")
    elif how == "killed":
        os.kill(os.getpid(), 9)
    elif how == "child":
        if os.fork() == 0:
            time.sleep(90)
            os._exit(0)
        os.execv(REAL, [REAL, "describe"])
    elif how == "others":
        out = json.loads(subprocess.run([REAL, "describe"], capture_output=True).stdout)
        out.update(LIE["set"])
        print(json.dumps(out))
    elif how == "garbage":
        sys.stdout.buffer.write(os.urandom(5000))


if __name__ == "__main__":
    try:
        describe() if sys.argv[1:] == ["describe"] else serve()
    except BrokenPipeError:
        os._exit(1)
