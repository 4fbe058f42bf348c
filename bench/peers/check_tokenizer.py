"""Compares `tokenizer.json` with the ids that `pipeline` wrote, line by line, in Hugging Face's library.

    pip install tokenizers
    python bench/peers/check_tokenizer.py TOKENIZER_JSON TEXT VOCAB IDS [LINES]

TOKENIZER_JSON, VOCAB and IDS are the outputs `tokenizer`, `vocab` and one of `train`, `valid`, `test` of the stage
`vocab`. TEXT is the file that IDS came from; if that file was split, IDS must be `train`, which has its first lines.
Exits with 1 at the first difference.
"""

import json
import struct
import sys
from array import array

from tokenizers import Tokenizer


def read_vocab(path):
    """The header (unit, lowercase, eos) and the types of a types file, in the order of their ids."""
    data = open(path, "rb").read()
    assert data[:8] == b"PLTYPES1", "not a types file"
    (length,) = struct.unpack_from("<I", data, 8)
    cut = json.loads(data[12 : 12 + length])
    at = 12 + length
    (n,) = struct.unpack_from("<I", data, at)
    at += 4
    types = []
    for _ in range(n):
        _count, length = struct.unpack_from("<QI", data, at)
        at += 12
        types.append(data[at : at + length].decode())
        at += length
    return cut, types


def main(tokenizer_path, text_path, vocab_path, ids_path, limit=10**12):
    tokenizer = Tokenizer.from_file(tokenizer_path)
    cut, types = read_vocab(vocab_path)
    index = {text: id for id, text in enumerate(types)}
    assert tokenizer.get_vocab() == index, "the vocabularies differ"
    # At a line's end: nothing, the token `eos`, or the newline, which is a character like others.
    newline = cut["eos"] or ("\n" if cut["unit"] == "char" else None)
    end = [] if newline is None else [index.get(newline, index["<unk>"])]
    ids = array("I", open(ids_path, "rb").read())
    at = tokens = lines = 0
    with open(text_path, encoding="utf-8", newline="\n") as text:
        for line in text:
            if lines == int(limit) or at == len(ids):
                break
            lines += 1
            ended = line.endswith("\n")
            body = line[:-1].removesuffix("\r") if ended else line
            expected = tokenizer.encode(body).ids + (end if ended or cut["eos"] else [])
            found = ids[at : at + len(expected)].tolist()
            if found != expected:
                print(f"{text_path}:{lines}: differs\n  text      {body!r}\n  tokenizer {expected}\n  pipeline  {found}")
                return 1
            at += len(expected)
            tokens += len(expected)
    if int(limit) > lines and at != len(ids):
        print(f"{ids_path}: {len(ids) - at} ids after the end of the text")
        return 1
    print(f"{lines} lines, {tokens} tokens, {len(types)} types ({cut['unit']}, lowercase {cut['lowercase']}): equal")
    return 0


if __name__ == "__main__":
    if len(sys.argv) not in (5, 6):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
