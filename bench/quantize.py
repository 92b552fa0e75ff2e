#!/usr/bin/env python3
"""How long quantizing takes, and how much memory: round to nearest, folded scales, GPTQ of a small model and of one
decoder block of an 8B model.

    bench/quantize.py --model SmolLM2-135M-Instruct.Q4_1.gguf --text FILE … [--rows rtn,folded,gptq,block]

| row | what is timed |
|---|---|
| rtn | `qopt quantize --scheme w4a16:g64` of the block: from a checkpoint in bf16 |
| folded | the same with a random scale folded into every weight that takes one |
| gptq | `qopt quantize` by GPTQ, w4a16:g64, of SmolLM2-135M, 128 samples of 512 tokens: calibration and codes, no gates |
| block | the same of one decoder block in the shape of Llama-3-8B, random weights, with the small model's vocabulary |

Weights are random in the block: its figures are of time and memory alone. Prints Markdown. A process that others disturbed (more
than a tenth of a CPU) is said to be.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

from compare import processes

ROOT = Path(__file__).resolve().parent.parent
ROWS = ("rtn", "folded", "gptq", "block")
SCHEME = ["--scheme", "w4a16:g64", "--head", "keep"]
SHAPE = {"hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32, "num_key_value_heads": 8, "num_hidden_layers": 1,
         "rope_theta": 500000.0, "tie_word_embeddings": True}
GPTQ = """version: 1
scheme: w4a16:g64
head: keep
method: gptq
gptq: {inputs: statistics, range: hessian, shrink: 0.1}
"""


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qopt", type=Path, default=ROOT / "build/release/bin/qopt")
    parser.add_argument("--model", type=Path, required=True, help="a GGUF file with a tokenizer")
    parser.add_argument("--text", action="append", required=True)
    parser.add_argument("--rows", type=lambda text: text.split(","), default=list(ROWS))
    parser.add_argument("--work", type=Path, default=ROOT / "build/bench/quantize")
    parser.add_argument("--times", type=int, default=5, help="how often short rows are timed")
    return parser.parse_args()


def make_block(options, folder):
    """A checkpoint of one block, weights of ±0.02 in bf16, with the tokenizer and the vocabulary of the model."""
    import numpy as np

    processes.run([options.qopt, "import", options.model, "-o", options.work / "small.mlir"])
    processes.run([options.qopt, "export", options.work / "small.mlir", "--to", "hf", "-o", folder])
    config = json.loads((folder / "config.json").read_text()) | SHAPE | {"head_dim": 128}
    (folder / "config.json").write_text(json.dumps(config))
    hidden, inner, rows = SHAPE["hidden_size"], SHAPE["intermediate_size"], config["vocab_size"]
    narrow = SHAPE["num_key_value_heads"] * 128
    shapes = {"model.embed_tokens.weight": (rows, hidden), "model.norm.weight": (hidden,)}
    layer = "model.layers.0."
    shapes |= {f"{layer}{name}.weight": (hidden,) for name in ("input_layernorm", "post_attention_layernorm")}
    shapes |= {f"{layer}self_attn.{name}_proj.weight": shape for name, shape in
               (("q", (hidden, hidden)), ("k", (narrow, hidden)), ("v", (narrow, hidden)), ("o", (hidden, hidden)))}
    shapes |= {f"{layer}mlp.{name}_proj.weight": shape for name, shape in
               (("gate", (inner, hidden)), ("up", (inner, hidden)), ("down", (hidden, inner)))}
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = np.random.Generator(np.random.PCG64(8))
    with open(folder / "model.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes.values():
            values = np.ones(shape, np.float32) if len(shape) == 1 else rng.standard_normal(shape, np.float32) * np.float32(0.02)
            file.write((values.view(np.uint32) >> 16).astype(np.uint16).tobytes())


def block_of(options):
    folder, ir = options.work / "block", options.work / "block.mlir"
    if not ir.exists():
        make_block(options, folder)
        processes.run([options.qopt, "import", folder, "-o", ir])
    return ir, (folder / "model.safetensors").stat().st_size


def quantize(options, words):
    """Seconds of the process, its peak memory in MiB, and what its stages took. The compiler says itself what its peak was: the
    kernel's figure of a child begins with that of this program."""
    report = options.work / "report.json"
    took = processes.run([options.qopt, "quantize", *words, "--report", report, "-o", options.work / "out.mlir"])
    stages = json.loads(report.read_text())["stages"]
    return took.seconds, max(stage["peak_resident_bytes"] for stage in stages) / 2**20, stages


def short(options, name, ir, size):
    foreign = processes.Foreign()
    runs = [quantize(options, [ir, *SCHEME]) for _ in range(options.times)]
    seconds = [taken for taken, _, _ in runs]
    row(name, f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f}, {len(seconds)} times), "
              f"{size / 1e6 / statistics.median(seconds):.0f} MB/s of source", max(peak for _, peak, _ in runs), foreign)


def calibrated(options, name, ir):
    recipe = options.work / "gptq.yaml"
    recipe.write_text(GPTQ)
    foreign = processes.Foreign()
    texts = [word for text in options.text for word in ("--text", text)]
    seconds, peak, stages = quantize(options, [ir, "--recipe", recipe, *texts, "--samples", "128", "--length", "512"])
    each = ", ".join(f"{stage['name']} {stage['seconds']:.0f} s" for stage in stages)
    row(name, f"{seconds:.0f} s ({each})", peak, foreign)


def row(name, text, peak, foreign):
    others = foreign.cpus()
    print(f"| {name} | {text} | {peak:.0f} | {f'others used {others:.1f} CPUs' if others > 0.1 else 'quiet'} |", flush=True)


def main():
    options = arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    print("| row | time | peak MiB | machine |\n|---|---|---|---|", flush=True)
    if {"rtn", "folded", "block"} & set(options.rows):
        block, size = block_of(options)
    if "rtn" in options.rows:
        short(options, "rtn", block, size)
    if "folded" in options.rows:
        folded = options.work / "folded.mlir"
        processes.run([options.qopt, block, f"--random-scales=directory={options.work} overlay={options.work}/scales.safetensors",
                       f"--fold-scales=unfoldable=cancel directory={options.work}", "-o", folded])
        short(options, "folded", folded, size)
    if "gptq" in options.rows:
        small = options.work / "small.mlir"
        processes.run([options.qopt, "import", options.model, "-o", small])
        calibrated(options, "gptq", small)
    if "block" in options.rows:
        calibrated(options, "block", block)


if __name__ == "__main__":
    sys.exit(main())
