#!/usr/bin/env python3
"""Random pairs of scales, folded, on a small model of each architecture: what is folded, what is cancelled, and the same logits.

Usage: fold_models.py --qopt QOPT --reference QOPT-REFERENCE --logits MODEL-LOGITS --work DIR

The architectures are all combinations of one query head or two for each value head, biases or none, a head of its own or the
embedding's table, a gated MLP or one with gelu, RMS norms or layer norms; two layers each. Compared are the model, the model with
pairs and the folded model by the reference evaluator, and for half of them the folded model's artifact.
"""
import argparse
import itertools
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.append(str(pathlib.Path(__file__).parents[1] / "passes" / "Fold" / "Inputs"))
import bind_parameters

LAYERS, HIDDEN, HEADS, DIM, INNER, VOCABULARY = 2, 32, 4, 8, 48, 40
# Of f32's roundings in another order, relative to the largest logit; they come to some 1e-6.
TOLERANCE = 1e-4
PROMPT = [1, 17, 39, 5, 9, 0, 3, 3, 25]
AXES = {"grouped": (False, True), "bias": (False, True), "tied": (False, True), "gated": (False, True), "norm": ("rms", "layer")}


class Graph:
    """@forward of an architecture, as IR over parameters without values."""

    def __init__(self, grouped, bias, tied, gated, norm):
        self.bias, self.norm_kind = bias, norm
        self.values = HEADS * DIM // (2 if grouped else 1)
        self.cache = f"<layers = {LAYERS}, heads = {self.values // DIM}, dim = {DIM}, f32>"
        self.parameters, self.body, self.count = {}, [], 0
        x = self.op(f"transformer.embedding %tokens, {self.get('embedding', VOCABULARY, HIDDEN)} : "
                    f"(tensor<?xi32>, tensor<{VOCABULARY}x{HIDDEN}xf32>) -> tensor<?x{HIDDEN}xf32>")
        cache = "%cache"
        for layer in range(LAYERS):
            x, cache = self.attention(f"layer.{layer}", layer, x, cache)
            x = self.mlp(f"layer.{layer}", x, gated)
        rows = self.op(f"transformer.select_rows {self.norm('norm', x)}, %rows : tensor<?x{HIDDEN}xf32>, tensor<?xi32> -> "
                       f"tensor<?x{HIDDEN}xf32>")
        logits = self.linear("embedding" if tied else "head", rows, HIDDEN, VOCABULARY, bias=False)
        self.body.append(f"return {logits}, {cache} : tensor<?x{VOCABULARY}xf32>, !transformer.cache{self.cache}")

    def op(self, text):
        self.count += 1
        self.body.append(f"%v{self.count} = {text}")
        return f"%v{self.count}"

    def get(self, name, *shape):
        shaped = f"tensor<{'x'.join(map(str, shape))}xf32>"
        self.parameters[name] = shaped
        return self.op(f"transformer.get @{name} : {shaped}")

    def linear(self, name, x, inputs, outputs, bias=None):
        weight, tail, types = self.get(name, outputs, inputs), "", ""
        if self.bias if bias is None else bias:
            tail, types = f" bias {self.get(f'{name}.bias', outputs)}", f", tensor<{outputs}xf32>"
        return self.op(f"transformer.linear {x}, {weight}{tail} : (tensor<?x{inputs}xf32>, tensor<{outputs}x{inputs}xf32>{types}) "
                       f"-> tensor<?x{outputs}xf32>")

    def norm(self, name, x):
        weight, tail, types = self.get(name, HIDDEN), "", ""
        if self.norm_kind == "layer" and self.bias:
            tail, types = f" bias {self.get(f'{name}.bias', HIDDEN)}", f", tensor<{HIDDEN}xf32>"
        return self.op(f"transformer.{self.norm_kind}_norm {x}, {weight}{tail} epsilon 1.0e-5 : (tensor<?x{HIDDEN}xf32>, "
                       f"tensor<{HIDDEN}xf32>{types}) -> tensor<?x{HIDDEN}xf32>")

    def residual(self, x, update):
        return self.op(f"transformer.residual {x}, {update} : tensor<?x{HIDDEN}xf32>")

    def attention(self, name, layer, x, cache):
        index = self.op(f"arith.constant {layer} : index")
        normed = self.norm(f"{name}.norm", x)
        q, k, v = (self.linear(f"{name}.{part}", normed, HIDDEN, width)
                   for part, width in (("q", HEADS * DIM), ("k", self.values), ("v", self.values)))
        rotary = f"%positions <dim = {DIM}, base = 1.0e4 : f64>"
        q = self.op(f"transformer.rotary {q}, {rotary} : tensor<?x{HEADS * DIM}xf32>, tensor<?xi32>")
        k = self.op(f"transformer.rotary {k}, {rotary} : tensor<?x{self.values}xf32>, tensor<?xi32>")
        at = "at (%positions, %sequences, %tables)"
        types = "tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>"
        cache = self.op(f"transformer.cache_update {cache}[{index}], {k}, {v} {at} : !transformer.cache{self.cache}, "
                        f"tensor<?x{self.values}xf32>, {types}")
        a = self.op(f"transformer.attention {q}, {cache}[{index}] {at} scale 0.35 : tensor<?x{HEADS * DIM}xf32>, "
                    f"!transformer.cache{self.cache}, {types}")
        return self.residual(x, self.linear(f"{name}.o", a, HEADS * DIM, HIDDEN)), cache

    def mlp(self, name, x, gated):
        normed = self.norm(f"{name}.mlp_norm", x)
        up = self.linear(f"{name}.up", normed, HIDDEN, INNER)
        if gated:
            gate = self.linear(f"{name}.gate", normed, HIDDEN, INNER)
            inner = self.op(f"transformer.gated_product silu {gate}, {up} : tensor<?x{INNER}xf32>")
        else:
            inner = self.op(f"transformer.activation gelu {up} : tensor<?x{INNER}xf32>")
        return self.residual(x, self.linear(f"{name}.down", inner, INNER, HIDDEN))

    def write(self, path):
        """The module, with numbers beside it."""
        model = (f"architecture = \"llama\", context = 512 : i64, head_dim = {DIM} : i64, heads = {HEADS} : i64, hidden = {HIDDEN} : i64, "
                 f"intermediate = {INNER} : i64, kv_heads = {self.values // DIM} : i64, layers = {LAYERS} : i64, "
                 f"vocabulary = {VOCABULARY} : i64")
        parameters = "\n".join(f"transformer.parameter @{name} : {shaped}" for name, shaped in self.parameters.items())
        arguments = (f"%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>, %tables: tensor<?x?xi32>, "
                     f"%rows: tensor<?xi32>, %cache: !transformer.cache{self.cache}")
        body = "\n".join(f"  {line}" for line in self.body)
        path.write_text(f"{parameters}\nfunc.func @forward({arguments}) -> "
                        f"(tensor<?x{VOCABULARY}xf32>, !transformer.cache{self.cache}) {{\n{body}\n}}\n", encoding="utf-8")
        bind_parameters.bind(path)
        text = path.read_text(encoding="utf-8")
        path.write_text(f"module @tiny attributes {{transformer.model = {{{model}}}}} {{\n{text}}}\n", encoding="utf-8")


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode} from: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def expect(found, pattern, text):
    if not re.search(pattern, text):
        raise RuntimeError(f"expected {found}, but got:\n{text}")


def greatest_difference(text):
    return float(re.search(r"greatest difference (\S+)", text)[1])


def check(arguments, architecture, work):
    plain, pairs, folded = (work / f"{name}.mlir" for name in ("plain", "pairs", "folded"))
    Graph(**architecture).write(plain)

    # Before q, k and v; before o; before the MLP; before down; before the head.
    inserted = 4 * LAYERS + 1
    # gelu is not linear, and a tied table's rows are not the head's alone.
    cancelled = (0 if architecture["gated"] else LAYERS) + (1 if architecture["tied"] else 0)
    text = run(arguments.qopt, plain, f"--random-scales=directory={work} overlay={work}/scales.safetensors", "--pass-counts",
               "-o", pairs)
    expect(f"{inserted} pairs", rf"\b{inserted} pairs-inserted", text)
    text = run(arguments.qopt, pairs, f"--fold-scales=directory={work} unfoldable=cancel", "--pass-counts", "-o", folded)
    expect(f"{inserted - cancelled} pairs folded and {cancelled} cancelled",
           rf"\b{inserted - cancelled} pairs-folded, {cancelled} pairs-cancelled, 0 scales-folded", text)
    if "lowbit" in folded.read_text(encoding="utf-8").split("func.func", 1)[1]:
        raise RuntimeError("expected no scales in @forward")
    worst = 0.0
    for model in (pairs, folded):
        # Two sequences, in one call and in chunks.
        for chunk in (0, 2):
            text = run(arguments.reference, model, "--against", plain, "--tolerance", TOLERANCE, "--lengths", "9,4", "--chunk", chunk,
                       "--compare-initializers")
            worst = max(worst, greatest_difference(text))
    if worst == 0:
        raise RuntimeError("expected other roundings: were the factors all 1?")
    outcome = f"{inserted - cancelled} folded, {cancelled} cancelled, logits within {worst:.2g}"
    # Half of the architectures, in which every two axes still take all their values.
    if sum(value in (True, "layer") for value in architecture.values()) % 2 == 0:
        run(arguments.qopt, "compile", folded, "--target", "native", "-o", work / "folded.qopt")
        text = run(arguments.logits, plain, work / "folded.qopt", TOLERANCE, *PROMPT)
        outcome += f", compiled {greatest_difference(text):.2g}"
    return outcome


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--qopt", "--reference", "--logits", "--work"):
        parser.add_argument(option, required=True)
    arguments = parser.parse_args()
    failures = 0
    for choice in itertools.product(*AXES.values()):
        architecture = dict(zip(AXES, choice))
        work = pathlib.Path(arguments.work)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        name = ", ".join(f"{axis}={value}" for axis, value in architecture.items())
        try:
            print(f"{name}: {check(arguments, architecture, work)}", flush=True)
        except RuntimeError as error:
            failures += 1
            print(f"{name}: FAILED: {error}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
