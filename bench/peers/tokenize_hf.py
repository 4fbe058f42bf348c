#!/usr/bin/env python3
"""Builds a vocabulary and encodes a text with Hugging Face's tokenizers, as an experienced user would write it.

    tokenize_hf.py --text corpus.txt                 # a file
    tokenize_hf.py --size 1e9                        # data/shakespeare.txt, repeated up to this many bytes

WordLevel with the pre-tokenizer Whitespace (the regex \\w+|[^\\w\\s]+), which splits as `unit = "word"` does: trained
on the file; then every line is encoded with encode_batch_fast and written as 32-bit ids, followed by the id of a line's
end. Prints megabytes of text per second, from the start of training to the last id, as one line of JSON, with the peak
memory.

`--tokenizer tokenizer.json --ids IDS` checks instead of timing: it encodes with the vocabulary that the stage vocab
wrote, and compares every id with those that the stage wrote. check_tokenizer.py does the same for every unit, and names
the line.
"""

import argparse
import itertools
import json
import resource
import sys
import tempfile
import time
from array import array
from pathlib import Path

try:
    import tokenizers
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
except ImportError as error:
    sys.exit(f"error: {sys.executable}: {error}\nhint: pip install torch==2.11.0 numpy safetensors tokenizers")

ROOT = Path(__file__).resolve().parents[2]
LINES = 10_000


def repeated(source, size, path):
    """Writes a text repeatedly up to `size` bytes, ending at a line's end."""
    text, left = Path(source).read_bytes(), int(size)
    with open(path, "wb") as out:
        while left > 0:
            piece = text if left >= len(text) else text[: text.rfind(b"\n", 0, left) + 1]
            if not piece:
                break
            left -= out.write(piece)


def encode(tokenizer, path, end, limit=None):
    """Arrays of ids, LINES lines each, with `end` after every line."""
    with open(path, encoding="utf-8", newline="\n") as text:
        lines = (line.removesuffix("\n").removesuffix("\r") for line in itertools.islice(text, limit))
        while chunk := list(itertools.islice(lines, LINES)):
            ids = array("I")
            for encoding in tokenizer.encode_batch_fast(chunk):
                ids.extend(encoding.ids)
                ids.append(end)
            yield ids


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", help="a corpus")
    parser.add_argument("--size", type=float, help="repeat a text up to this many bytes, in a scratch file")
    parser.add_argument(
        "--source", default=str(ROOT / "data/shakespeare.txt"), help="the text to repeat (default: %(default)s)"
    )
    parser.add_argument("--vocab", type=int, default=10_000, help="types (default: %(default)s)")
    parser.add_argument("--output", help="file for the ids (default: a scratch file)")
    parser.add_argument("--tokenizer", help="check: the tokenizer.json of the stage vocab")
    parser.add_argument("--ids", help="check: the ids of the stage vocab")
    parser.add_argument("--limit", type=int, help="check: number of lines (default: all)")
    arguments = parser.parse_args()
    if (arguments.text is None) == (arguments.size is None):
        parser.error("pass exactly one of --text and --size")
    with tempfile.TemporaryDirectory(prefix="tokenize-") as scratch:
        text = arguments.text or f"{scratch}/text.txt"
        if arguments.size:
            repeated(arguments.source, arguments.size, text)
        if arguments.tokenizer:
            sys.exit(check(arguments, text))
        begun = time.perf_counter()
        tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        special = ["<unk>", "<eos>"]
        trainer = trainers.WordLevelTrainer(vocab_size=arguments.vocab, special_tokens=special, show_progress=False)
        tokenizer.train([text], trainer)
        trained, tokens = time.perf_counter(), 0
        with open(arguments.output or f"{scratch}/ids", "wb") as out:
            for ids in encode(tokenizer, text, tokenizer.token_to_id("<eos>")):
                ids.tofile(out)
                tokens += len(ids)
        ended = time.perf_counter()
        size = Path(text).stat().st_size
    print(
        json.dumps(
            {
                "what": f"vocabulary and ids, tokenizers {tokenizers.__version__}",
                "value": size / (ended - begun) / 1e6,
                "unit": "MB/s",
                "train_seconds": trained - begun,
                "encode_seconds": ended - trained,
                "tokens": tokens,
                "types": tokenizer.get_vocab_size(),
                "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


def check(arguments, text):
    """Compares every id. Returns 1 at the first difference, else 0."""
    tokenizer = Tokenizer.from_file(arguments.tokenizer)
    end = tokenizer.token_to_id("<eos>")
    with open(arguments.ids, "rb") as file:
        tokens = 0
        for ids in encode(tokenizer, text, end, arguments.limit):
            ours = array("I", file.read(4 * len(ids)))
            if ours != ids[: len(ours)] or (len(ours) < len(ids) and file.read(1)):
                print(f"error: ids differ after {tokens} tokens", file=sys.stderr)
                return 1
            tokens += len(ours)
            if len(ours) < len(ids):
                break  # The rest of the text belongs to another split.
    print(json.dumps({"what": "ids equal to tokenizers'", "value": tokens, "unit": "tokens"}))
    return 0


if __name__ == "__main__":
    main()
