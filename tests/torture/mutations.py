"""Experiments that no one would write: shipped ones with random edits, and random --set. Each must end with a
documented exit code and, if that is not 0, one error line.
"""

import re
import resource
import shutil
import signal
import time

import oracle
from lab import EXPERIMENT, ROOT, Stop

NAME, PER_HOUR = "mutations", 420
VALUES = [
    "-1", "0", "1", "2", "-0.0", "0.5", "1e308", "-1e308", "5e-324", "1e400", "nan", "inf", "-inf", "9223372036854775807", "-9223372036854775808",
    "18446744073709551615", "18446744073709551616", "4294967296", "65536", "true", "False", '""', '"x"', "'x'", '"\\u0000"', '"\\u001b[2J"', "[]", "{}",
    "[1]", "[[1]]", '["adam","sgd"]', "{ a = 1 }", "{ last = 1 }", '{ kind = "cosine" }', '{ kind = "range", to = 0.1 }', "1979-05-27", "07:32:00", "none", ".01", "1.",
    "0x10", "1_000", '"""', "# x", "", "é", "\U0001f600", '"../../../etc/passwd"', '"/dev/zero"', '"/dev/stdin"', '"."', '"all"', '"best"', '{ kind = "plateau", every = 1 }',
]  # fmt: skip
TABLES = [
    "{ every = 1, keep = { last = 1 } }", '{ every = 0, keep = "best" }', "{ every = 7, keep = [3, 29] }", '{ kind = "plateau", every = 1, rate = 0.0 }', '{ kind = "cosine", floor = 1e9 }',
    '{ kind = "exponential", rate = 1e30, every = 1 }', '{ kind = "epoch", rate = 1e-30, after = 0 }', '{ kind = "range", to = 3.4e38 }', "{ every = 1, patience = 0 }", "{ uniform = 0.0 }",
    "{ normal = 1e30 }", "{ stop_after = 1 }", "{ valid = 0.0, test = 0.0 }", "{ valid = 0.99, test = 0.0099 }", "[{ temperature = 1e-30 }, { top_k = 1 }, { top_p = 1e-9 }]",
]  # fmt: skip
KEYS = re.compile(r"^\| `([a-z_.0-9]+)` \| (.*?) \|", re.M)
SECTIONS = re.compile(r"<!-- keys of ([a-z.]+) -->(.*?)<!-- end of ", re.S)
# A mutated experiment may ask for any size; these limits apply.
LIMITS = [(resource.RLIMIT_AS, 6 << 30), (resource.RLIMIT_FSIZE, 64 << 20), (resource.RLIMIT_CPU, 60)]
WAIT = 6.0


def why_not(lab):
    """Requires nothing."""
    return None


def keys():
    """Every documented key, with its allowed values in words."""
    text = (ROOT / "docs/experiment.md").read_text()
    found = {f"{section}.{key}": allowed for section, body in SECTIONS.findall(text) for key, allowed in KEYS.findall(body)}
    return {**found, "seed": "a whole number, at least 0", "name": "a string"}


def plausible(draw, allowed):
    """A value at or near the edge of a key's range."""
    choices = re.findall(r'"[a-z0-9]+"', allowed.split(", or")[0])
    whole = re.search(r"a whole number(?: from|, at least) (\d+)(?: to (\d+))?", allowed)
    if "true or false" in allowed:
        return draw.choice(["true", "false"])
    if allowed.startswith("{") or allowed.startswith("a table"):
        return draw.choice(TABLES)
    if choices and draw.random() < 0.7:
        return draw.choice(choices)
    if whole:
        least, most = int(whole[1]), int(whole[2] or 2**63 - 1)
        return str(draw.choice([least, least + 1, least + 2, 3, 7, 33, most, most - 1, least - 1, most + 1]))
    if "number" in allowed:
        return draw.choice(["0.0", "1e-300", "1e-30", "1e-7", "0.5", "0.999999", "0.99999999999999999", "1.0", "2.5", "1e30", "3.4e38", "3.5e38", "1.7e308"])
    return draw.choice(VALUES)


def case(space):
    """Several experiments in one folder, some computed and some only planned."""
    draw = space.draw
    shutil.copytree(ROOT / "experiments", space.work / "experiments")
    (space.work / "data").mkdir(exist_ok=True)
    for name in ("sonnets.txt", "shakespeare.txt"):
        (space.work / "data" / name).write_text(space.lab.text)
    known = keys()
    for _ in range(6):
        space.attacks += 1
        shipped = sorted((ROOT / "experiments").glob("*.toml"))
        computed = draw.random() < 0.5
        text = EXPERIMENT.replace("1100", "30") if computed or draw.random() < 0.3 else draw.choice(shipped).read_text()
        words = ["run", "mutated.toml", "--jobs", "2", "--threads", "1"]
        # A broken text tests the parser. An intact text with odd values tests the computation.
        spoilt = draw.random() < 0.5
        if spoilt and draw.random() < 0.75:
            text = mutate(draw, text, known)
        if not spoilt or draw.random() < 0.3:
            for _ in range(draw.choice([1, 1, 2, 3])):
                key = draw.choice(list(known)) if draw.random() < 0.95 else "".join(draw.choices("abc._-=é ", k=draw.randint(0, 8)))
                value = plausible(draw, known[key]) if key in known and draw.random() < 0.75 else draw.choice(VALUES)
                words += ["--set", f"{key}={value}"]
        data = text.encode("utf-8", "surrogateescape")
        if spoilt and draw.random() < 0.4:
            data = bytes_of(draw, data)
        (space.work / "mutated.toml").write_bytes(data)
        words = [word.replace("\0", "") for word in words]
        if not computed:
            words.append("--dry-run")
        try_it(space, words, data)
    # Whatever was computed must be sound.
    shutil.rmtree(space.work / "data/store", ignore_errors=True)
    space.orphans()
    if space.database.exists():
        space.find_all(found for found in oracle.examine(space.database, space.store) if found[0] != "an object is missing")


def try_it(space, words, data):
    """Runs one experiment, which must end by itself or soon after it is asked to."""
    process = space.start(*words, limits=LIMITS)
    until = time.monotonic() + WAIT
    while process.alive() and time.monotonic() < until:
        time.sleep(0.005)
    asked = process.alive()
    if asked:
        process.signal(signal.SIGTERM)
    ended = process.end()
    if space.hung:
        space.findings[-1] = (space.findings[-1][0], f"{space.findings[-1][1]}\n--- mutated.toml\n{data.decode(errors='replace')}")
        raise Stop
    found = len(space.findings)
    if asked and ended.code == 130 or ended.code == -24:
        return
    space.manners(ended)
    if ended.code == 0 and "error: " in ended.err:
        space.find("an error line and exit 0", ended.err[-300:])
    if len(space.findings) > found:
        space.history.append(f"--- mutated.toml\n{data.decode(errors='replace')}\n")
        kind, text = space.findings[-1]
        space.findings[-1] = (kind, f"{text}\n  pipeline {' '.join(words)}\n  {difference(data)}")
        (space.root / f"mutated-{space.commands}.toml").write_bytes(data)


def difference(data):
    """The lines that are in no shipped experiment."""
    known = {line for path in (ROOT / "experiments").glob("*.toml") for line in path.read_text().splitlines()} | set(EXPERIMENT.splitlines())
    return " | ".join(line for line in data.decode(errors="replace").splitlines() if line not in known and line != "steps = 30")[:400]


def mutate(draw, text, known):
    """Edits some lines and values of a text."""
    lines = text.splitlines()
    for _ in range(draw.choice([1, 1, 2, 4])):
        i = draw.randrange(len(lines))
        how = draw.choice(["value", "value", "value", "value", "delete", "double", "swap", "key", "table", "insert", "token", "long"])
        if how == "value" and "=" in lines[i]:
            lines[i] = f"{lines[i].split('=')[0]}= {draw.choice(VALUES)}"
        elif how == "delete" and len(lines) > 2:
            del lines[i]
        elif how == "double":
            lines.insert(i, lines[i])
        elif how == "swap":
            j = draw.randrange(len(lines))
            lines[i], lines[j] = lines[j], lines[i]
        elif how == "key" and "=" in lines[i]:
            lines[i] = f"{draw.choice(list(known)).split('.')[-1]} ={lines[i].split('=', 1)[1]}"
        elif how == "table":
            lines[i] = draw.choice(["[train]", "[study]", "[[study.points]]", "[sample.x]", "[", "[]", "[[train]]", "[corpus.text]", "[études]"])
        elif how == "insert":
            lines.insert(i, f"{draw.choice(list(known)).split('.')[-1]} = {draw.choice(VALUES)}")
        elif how == "token":
            parts = re.split(r"(\W+)", lines[i])
            parts[draw.randrange(len(parts))] = draw.choice(VALUES)
            lines[i] = "".join(parts)
        elif how == "long":
            lines.insert(i, f'"train.learning_rate" = [{", ".join(str(n / 7) for n in range(1, draw.choice([3, 50, 3000])))}]')
        if not lines:
            lines = [""]
    return "\n".join(lines) + "\n"


def bytes_of(draw, data):
    """Edits some bytes of a text."""
    data = bytearray(data)
    for _ in range(draw.choice([1, 1, 3, 20])):
        i = draw.randrange(len(data)) if data else 0
        how = draw.randrange(4)
        if how == 0 and data:
            data[i] = draw.randrange(256)
        elif how == 1 and data:
            del data[i : i + draw.choice([1, 1, 5, 100])]
        elif how == 2:
            data[i:i] = bytes(draw.choices(range(256), k=draw.choice([1, 3, 30])))
        else:
            data[i:i] = data[i : i + draw.choice([1, 10, 200])]
    return bytes(data)
