#!/usr/bin/env python3
"""Print the comparison that ends `./setup.sh demo`.

Usage: demo_table.py DIR --windows N --head SCHEME NAME...

DIR has, for each NAME, NAME.qopt, eval-NAME-near.json and eval-NAME-far.json (`qopt eval --json`), bench-NAME.json
(`qopt bench --json`) and NAME.safetensors with the ledger. The first is the original, whose linears are kept.
"""
import argparse
import json
import pathlib
import struct
import sys

HEADS = ("model.embed_tokens.weight", "lm_head.weight")


def ledger(archive):
    """The rows of the ledger in a safetensors file's metadata."""
    with archive.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        metadata = json.loads(file.read(length))["__metadata__"]
    return json.loads(metadata["qopt.ledger"])["rows"]


def bits_of_linears(archive):
    """Bits per weight of the quantized linears, scales and zero points counted."""
    rows = [row for row in ledger(archive) if row["status"] == "quantized" and row["name"] not in HEADS]
    return 8 * sum(row["bytes"] for row in rows) / sum(row["elements"] for row in rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--windows", type=int, required=True)
    parser.add_argument("--head", required=True)
    parser.add_argument("names", nargs="+")
    arguments = parser.parse_args()

    def read(name):
        return json.loads((arguments.folder / name).read_text(encoding="utf-8"))

    original = arguments.names[0]
    columns = []
    threads = 0
    for name in arguments.names:
        near, far, bench = read(f"eval-{name}-near.json"), read(f"eval-{name}-far.json"), read(f"bench-{name}.json")
        threads = bench["threads"]
        size = (arguments.folder / f"{name}.qopt").stat().st_size
        column = [name if name == original else f"{name.upper()} g64", f"{size / 1e6:.0f} MB"]
        column += ["32" if name == original else f"{bits_of_linears(arguments.folder / f'{name}.safetensors'):.2f}"]
        for evaluation in (near, far):
            column.append(f"{evaluation['perplexity']['value']:.2f}")
            column.append("reference" if name == original else f"{evaluation['kl_divergence']['value']:.4f}")
        column.append(f"{bench['decode_tokens_per_second']['median']:.1f}")
        column.append(f"{bench['prefill_tokens_per_second']['median']:.0f}")
        column.append(f"{bench['peak_resident_bytes'] / 1e6:.0f} MB")
        columns.append(column)
    labels = ["", "file", "bits per weight of linears", "perplexity, near text", "KL, near text", "perplexity, far text",
              "KL, far text", "tokens/s, one by one", "tokens/s, prompt of 512", "peak memory"]
    width = max(map(len, labels))
    print()
    for index, label in enumerate(labels):
        print("  " + label.ljust(width) + "".join(column[index].rjust(12) for column in columns))
        if index == 0:
            print("  " + "-" * (width + 12 * len(columns)))
    print(f"""
  SmolLM2-135M-Instruct, round to nearest. Embedding and output head, which are one tensor: {arguments.head} in all columns, so
  that they differ by their linears alone. KL(original || quantized), nats per token. Near text: the Developers' Reference;
  far text: fortunes; {arguments.windows} windows of 512 tokens of each. {threads} threads.
  The source's weights lie on a 4-bit grid: the differences are those of requantizing it (docs/GettingStarted.md).""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
