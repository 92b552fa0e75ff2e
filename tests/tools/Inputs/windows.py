"""Prints windows of tokens, one a line: those of statistics, or ids on the standard input that are cut.

    windows.py STATISTICS samples|heldout
    windows.py LENGTH

Of statistics also `windows.py STATISTICS sources`: what the header says of each text.
"""
import array
import json
import sys

import safetensors_header


def cut(ids, length):
    for begin in range(0, len(ids) - length + 1, length):
        print(*ids[begin:begin + length])


def main(arguments):
    if len(arguments) == 1:
        return cut(sys.stdin.read().split(), int(arguments[0]))
    path, what = arguments
    start, header = safetensors_header.read(path)
    if what == "sources":
        for source in json.loads(header["__metadata__"]["qopt.statistics"])["sources"]:
            print(f"{source['name']}: {source['windows']} windows, {source['samples']} samples, {source['held_out']} held out")
        return None
    tensor = header[f"{what}.tokens"]
    assert tensor["dtype"] == "I32", tensor
    begin, end = tensor["data_offsets"]
    with open(path, "rb") as file:
        ids = array.array("i", file.read()[start + begin:start + end])
    return cut(ids, tensor["shape"][1])


main(sys.argv[1:])
