#!/usr/bin/env python3
"""Write the IR of a llama-shaped model whose parameters exist only as shapes.

Usage: make_shapes.py [--preset llama-70b | smollm2-135m | tiny] [options] [-o FILE]

Options override the preset. The graph is the one that the importer makes (flat, one @forward, Hugging Face names), so
that passes can be run and timed on models that are too large to fetch, and small ones can be evaluated with seeded
random numbers (qopt-reference).
"""
import argparse
import sys

PRESETS = {
    "llama-70b": dict(layers=80, hidden=8192, intermediate=28672, heads=64, kv_heads=8, vocabulary=128256,
                      context=131072, base=5e5, llama3=True, cache="f16"),
    "smollm2-135m": dict(layers=30, hidden=576, intermediate=1536, heads=9, kv_heads=3, vocabulary=49152,
                         context=8192, base=1e5, tied=True),
    "tiny": dict(layers=2, hidden=64, intermediate=96, heads=4, kv_heads=2, vocabulary=50, context=64, base=1e4),
}


class Model:
    """The lines of the file, by section."""

    def __init__(self, options):
        self.options = options
        self.parameters = []
        self.body = []
        self.count = 0

    def value(self):
        self.count += 1
        return f"%{self.count - 1}"

    def parameter(self, name, *shape, vector=False):
        """Declares @name and gets it; returns (value, type)."""
        element = "f32" if vector else self.options.type
        kind = f"tensor<{'x'.join(map(str, shape))}x{element}>"
        line = f'  transformer.parameter @"{name}" : {kind}'
        if line not in self.parameters:
            self.parameters.append(line)
        value = self.value()
        self.emit(f'{value} = transformer.get @"{name}" : {kind}')
        return value, kind

    def emit(self, line):
        self.body.append("    " + line)

    def norm(self, x, name):
        o = self.options
        weight, kind = self.parameter(name, o.hidden, vector=True)
        value = self.value()
        rows = f"tensor<?x{o.hidden}xf32>"
        self.emit(f"{value} = transformer.rms_norm {x}, {weight} epsilon {o.epsilon:e} : ({rows}, {kind}) -> {rows}")
        return value

    def linear(self, x, name, outputs, inputs, bias, weight_name=None):
        weight, kind = self.parameter(weight_name or f"{name}.weight", outputs, inputs)
        extra, types = "", f"tensor<?x{inputs}xf32>, {kind}"
        if bias:
            b, bias_kind = self.parameter(f"{name}.bias", outputs, vector=True)
            extra, types = f" bias {b}", f"{types}, {bias_kind}"
        value = self.value()
        self.emit(f"{value} = transformer.linear {x}, {weight}{extra} : ({types}) -> tensor<?x{outputs}xf32>")
        return value

    def rotary(self, x, width):
        o = self.options
        scaling = ""
        if o.llama3:
            scaling = (f", factor = 8.0 : f64, lowFrequency = 1.0 : f64, highFrequency = 4.0 : f64,"
                       f" originalContext = {min(8192, o.context)}")
        value = self.value()
        self.emit(f"{value} = transformer.rotary {x}, %positions <dim = {o.head_dim}, base = {o.base:e} : f64{scaling}> :"
                  f" tensor<?x{width}xf32>, tensor<?xi32>")
        return value

    def layer(self, h, cache, index):
        o = self.options
        name = f"model.layers.{index}"
        q_width, kv_width = o.heads * o.head_dim, o.kv_heads * o.head_dim
        batch = "tensor<?xi32>, tensor<?xi32>, tensor<?x?xi32>"
        places = "at (%positions, %sequences, %block_tables)"
        rows = f"tensor<?x{o.hidden}xf32>"
        number = self.value()
        self.emit(f"{number} = arith.constant {index} : index")

        x = self.norm(h, f"{name}.input_layernorm.weight")
        q = self.linear(x, f"{name}.self_attn.q_proj", q_width, o.hidden, o.attention_bias)
        k = self.linear(x, f"{name}.self_attn.k_proj", kv_width, o.hidden, o.attention_bias)
        v = self.linear(x, f"{name}.self_attn.v_proj", kv_width, o.hidden, o.attention_bias)
        q, k = self.rotary(q, q_width), self.rotary(k, kv_width)
        updated, attended = self.value(), self.value()
        self.emit(f"{updated} = transformer.cache_update {cache}[{number}], {k}, {v} {places} :"
                  f" {self.cache_type()}, tensor<?x{kv_width}xf32>, {batch}")
        window = f" window {o.window}" if o.window else ""
        self.emit(f"{attended} = transformer.attention {q}, {updated}[{number}] {places} scale {o.head_dim ** -0.5:e}{window}"
                  f" : tensor<?x{q_width}xf32>, {self.cache_type()}, {batch}")
        out = self.linear(attended, f"{name}.self_attn.o_proj", o.hidden, q_width, o.attention_bias)
        after = self.value()
        self.emit(f"{after} = transformer.residual {h}, {out} : {rows}")

        x = self.norm(after, f"{name}.post_attention_layernorm.weight")
        gate = self.linear(x, f"{name}.mlp.gate_proj", o.intermediate, o.hidden, o.mlp_bias)
        up = self.linear(x, f"{name}.mlp.up_proj", o.intermediate, o.hidden, o.mlp_bias)
        product = self.value()
        self.emit(f"{product} = transformer.gated_product silu {gate}, {up} : tensor<?x{o.intermediate}xf32>")
        down = self.linear(product, f"{name}.mlp.down_proj", o.hidden, o.intermediate, o.mlp_bias)
        result = self.value()
        self.emit(f"{result} = transformer.residual {after}, {down} : {rows}")
        return result, updated

    def cache_type(self):
        o = self.options
        return f"!transformer.cache<layers = {o.layers}, heads = {o.kv_heads}, dim = {o.head_dim}, {o.cache}>"

    def write(self):
        o = self.options
        rows = f"tensor<?x{o.hidden}xf32>"
        table, kind = self.parameter("model.embed_tokens.weight", o.vocabulary, o.hidden)
        h, cache = self.value(), "%cache"
        self.emit(f"{h} = transformer.embedding %tokens, {table} : (tensor<?xi32>, {kind}) -> {rows}")
        for index in range(o.layers):
            h, cache = self.layer(h, cache, index)
        selected = self.value()
        self.emit(f"{selected} = transformer.select_rows {h}, %rows : {rows}, tensor<?xi32> -> {rows}")
        x = self.norm(selected, "model.norm.weight")
        head = "model.embed_tokens.weight" if o.tied else "lm_head.weight"
        logits = self.linear(x, "lm_head", o.vocabulary, o.hidden, False, weight_name=head)
        results = f"tensor<?x{o.vocabulary}xf32>, {self.cache_type()}"
        self.emit(f"return {logits}, {cache} : {results}")
        return "\n".join([
            f'module @"{o.name}" attributes {{transformer.model = {{architecture = "llama", context = {o.context} : i64}}}} {{',
            *self.parameters,
            "  func.func @forward(%tokens: tensor<?xi32>, %positions: tensor<?xi32>, %sequences: tensor<?xi32>,",
            f"                     %block_tables: tensor<?x?xi32>, %rows: tensor<?xi32>, %cache: {self.cache_type()})",
            f"      -> ({results}) {{",
            *self.body,
            "  }",
            "}",
            "",
        ])


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=PRESETS, default="tiny")
    parser.add_argument("--name", help="of the module")
    for number in ("layers", "hidden", "intermediate", "heads", "kv-heads", "head-dim", "vocabulary", "context"):
        parser.add_argument(f"--{number}", type=int)
    parser.add_argument("--base", type=float, help="of the rotary embedding")
    parser.add_argument("--llama3", action="store_true", default=None, help="Llama 3's frequency scaling")
    parser.add_argument("--window", type=int, default=0, help="of attention; 0: all positions")
    parser.add_argument("--epsilon", type=float, default=1e-5)
    parser.add_argument("--tied", action="store_true", default=None, help="the head is the embedding")
    parser.add_argument("--attention-bias", action="store_true")
    parser.add_argument("--mlp-bias", action="store_true")
    parser.add_argument("--type", choices=("f32", "f16", "bf16"), default="f32", help="of matrices")
    parser.add_argument("--cache", choices=("f32", "f16"), help="type of stored keys and values")
    parser.add_argument("-o", "--output", default="-")
    options = parser.parse_args()
    defaults = {"llama3": False, "tied": False, "cache": "f32", "name": options.preset, **PRESETS[options.preset]}
    for key, value in defaults.items():
        if getattr(options, key) is None:
            setattr(options, key, value)
    if options.head_dim is None:
        options.head_dim = options.hidden // options.heads
    if options.heads % options.kv_heads:
        parser.error(f"{options.kv_heads} key heads do not divide {options.heads} heads")
    return options


def main():
    options = parse_options()
    text = Model(options).write()
    if options.output == "-":
        sys.stdout.write(text)
    else:
        with open(options.output, "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    main()
