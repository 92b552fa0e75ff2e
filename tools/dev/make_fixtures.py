#!/usr/bin/env python3
"""Writes the tiny checkpoints under tests/fixtures: random weights from a seed, and the logits that they give.

Needs numpy, safetensors and gguf. The same versions give the same bytes:

    python3 tools/dev/make_fixtures.py tests/fixtures

  llama-tied         Hugging Face, f32, tied head, byte-level tokenizer; groups of 64 do not divide the MLP's 96 inputs
  llama-sharded      Hugging Face, bf16 in two shards, untied, Llama 3's rotary scaling, head_dim other than
                     hidden / heads, biases on the attention's projections
  llama-tiny.gguf    GGUF: Q4_1 linears, Q8_0 embedding, F32 norms, tied

expected-NAME.safetensors holds `tokens` [n] i32, and `logits` [n, vocabulary] f32 of one sequence, computed here in
f64 from the weights as they are stored.
"""
import json
import pathlib
import sys

import gguf
import numpy as np
from safetensors.numpy import save_file

TOKENS = [1, 17, 42, 5, 99, 287, 0, 63, 64, 65, 130, 200, 3, 3, 250, 11]


def bytes_to_unicode():
    """The printable stand-ins of the 256 bytes in byte-level BPE."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, extra = {}, 0
    for byte in range(256):
        if byte in keep:
            table[byte] = chr(byte)
        else:
            table[byte] = chr(256 + extra)
            extra += 1
    return table


def vocabulary():
    """256 bytes, 31 merges of letters, one special token: 288 tokens."""
    letters = [bytes_to_unicode()[b] for b in range(256)]
    space = bytes_to_unicode()[32]
    pairs = [(space, c) for c in "abcdefghilmnoprstw"] + [
        ("t", "h"), ("i", "n"), ("e", "r"), ("a", "n"), ("o", "n"), ("r", "e"), ("e", "d"), ("o", "r"), ("th", "e"),
        ("in", "g"), ("an", "d"), (space + "t", "h"), (space + "th", "e")]
    return letters + [a + b for a, b in pairs] + ["<|end|>"], [f"{a} {b}" for a, b in pairs]


def make_weights(rng, c):
    """Weights [outputs, inputs] under Hugging Face's names."""
    def matrix(rows, cols):
        return (rng.standard_normal((rows, cols)) / np.sqrt(cols)).astype(np.float32)

    def vector(size, center):
        return (center + 0.1 * rng.standard_normal(size)).astype(np.float32)

    queries, keys = c["heads"] * c["dim"], c["kv"] * c["dim"]
    w = {"model.embed_tokens.weight": matrix(c["vocab"], c["hidden"])}
    for i in range(c["layers"]):
        p = f"model.layers.{i}."
        w[p + "input_layernorm.weight"] = vector(c["hidden"], 1)
        for name, rows, cols in [("q", queries, c["hidden"]), ("k", keys, c["hidden"]), ("v", keys, c["hidden"]),
                                 ("o", c["hidden"], queries)]:
            w[p + f"self_attn.{name}_proj.weight"] = matrix(rows, cols)
            if c.get("bias"):
                w[p + f"self_attn.{name}_proj.bias"] = vector(rows, 0)
        w[p + "post_attention_layernorm.weight"] = vector(c["hidden"], 1)
        w[p + "mlp.gate_proj.weight"] = matrix(c["mlp"], c["hidden"])
        w[p + "mlp.up_proj.weight"] = matrix(c["mlp"], c["hidden"])
        w[p + "mlp.down_proj.weight"] = matrix(c["hidden"], c["mlp"])
    w["model.norm.weight"] = vector(c["hidden"], 1)
    if not c["tied"]:
        w["lm_head.weight"] = matrix(c["vocab"], c["hidden"])
    return w


def frequencies(c):
    f = c["base"] ** -(np.arange(0, c["dim"], 2, dtype=np.float64) / c["dim"])
    s = c.get("scaling")
    if not s:
        return f
    wavelength = 2 * np.pi / f
    low = s["original_max_position_embeddings"] / s["low_freq_factor"]
    high = s["original_max_position_embeddings"] / s["high_freq_factor"]
    smooth = (s["original_max_position_embeddings"] / wavelength - s["low_freq_factor"]) / (
        s["high_freq_factor"] - s["low_freq_factor"])
    blended = (1 - smooth) * f / s["factor"] + smooth * f
    return np.where(wavelength > low, f / s["factor"], np.where(wavelength < high, f, blended))


def forward(w, c, tokens):
    """Logits [tokens, vocabulary] of one sequence, in f64."""
    w = {k: v.astype(np.float64) for k, v in w.items()}
    n, dim = len(tokens), c["dim"]
    angles = np.arange(n)[:, None] * frequencies(c)
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]

    def norm(x, weight):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + c["eps"]) * weight

    def rotate(x):
        a, b = x[..., :dim // 2], x[..., dim // 2:]
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    def linear(x, prefix):
        y = x @ w[prefix + ".weight"].T
        return y + w[prefix + ".bias"] if prefix + ".bias" in w else y

    x = w["model.embed_tokens.weight"][tokens]
    for i in range(c["layers"]):
        p = f"model.layers.{i}."
        h = norm(x, w[p + "input_layernorm.weight"])
        q = rotate(linear(h, p + "self_attn.q_proj").reshape(n, c["heads"], dim))
        k = rotate(linear(h, p + "self_attn.k_proj").reshape(n, c["kv"], dim))
        v = linear(h, p + "self_attn.v_proj").reshape(n, c["kv"], dim)
        share = c["heads"] // c["kv"]
        k, v = k.repeat(share, 1), v.repeat(share, 1)
        scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(dim)
        scores = np.where(np.tri(n, dtype=bool), scores, -np.inf)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        attended = np.einsum("hqk,khd->qhd", scores, v).reshape(n, -1)
        x = x + linear(attended, p + "self_attn.o_proj")
        h = norm(x, w[p + "post_attention_layernorm.weight"])
        gate = linear(h, p + "mlp.gate_proj")
        x = x + linear(gate / (1 + np.exp(-gate)) * linear(h, p + "mlp.up_proj"), p + "mlp.down_proj")
    x = norm(x, w["model.norm.weight"])
    return x @ w["model.embed_tokens.weight" if c["tied"] else "lm_head.weight"].T


def save_expected(folder, name, w, c):
    save_file({"tokens": np.array(TOKENS, np.int32), "logits": forward(w, c, TOKENS).astype(np.float32)},
              folder / f"expected-{name}.safetensors")


def config(c, dtype):
    out = {"architectures": ["LlamaForCausalLM"], "attention_bias": bool(c.get("bias")), "attention_dropout": 0.0,
           "bos_token_id": 287, "eos_token_id": 287, "hidden_act": "silu", "hidden_size": c["hidden"],
           "initializer_range": 0.02, "intermediate_size": c["mlp"], "max_position_embeddings": c["context"],
           "mlp_bias": False, "model_type": "llama", "num_attention_heads": c["heads"],
           "num_hidden_layers": c["layers"], "num_key_value_heads": c["kv"], "pretraining_tp": 1,
           "rms_norm_eps": c["eps"], "rope_scaling": c.get("scaling"), "rope_theta": c["base"],
           "tie_word_embeddings": c["tied"], "torch_dtype": dtype, "transformers_version": "4.50.0",
           "use_cache": True, "vocab_size": c["vocab"]}
    if c["dim"] * c["heads"] != c["hidden"]:
        out["head_dim"] = c["dim"]
    return out


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_tokenizer(folder):
    tokens, merges = vocabulary()
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    write_json(folder / "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": 287, "content": "<|end|>", "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True}],
        "normalizer": None, "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {t: i for i, t in enumerate(tokens)}, "merges": merges}})
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast",
                                                  "eos_token": "<|end|>", "model_max_length": 128})
    write_json(folder / "generation_config.json", {"eos_token_id": 287, "bos_token_id": 287})


def make_tied(root):
    c = dict(hidden=64, layers=2, heads=4, kv=2, dim=16, mlp=96, vocab=288, context=128, eps=1e-5, base=10000.0,
             tied=True)
    folder = root / "llama-tied"
    folder.mkdir(exist_ok=True)
    w = make_weights(np.random.default_rng(1), c)
    save_file(w, folder / "model.safetensors", {"format": "pt"})
    write_json(folder / "config.json", config(c, "float32"))
    write_tokenizer(folder)
    save_expected(root, "llama-tied", w, c)


def save_bf16(tensors, path):
    """safetensors in bf16, which numpy lacks: [name -> u16 bits]."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, bits in tensors.items():
        header[name] = {"dtype": "BF16", "shape": list(bits.shape), "data_offsets": [offset, offset + bits.nbytes]}
        offset += bits.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(b.tobytes() for b in tensors.values()))


def make_sharded(root):
    c = dict(hidden=64, layers=2, heads=4, kv=2, dim=32, mlp=128, vocab=288, context=256, eps=1e-6, base=500000.0,
             tied=False, bias=True,
             scaling={"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                      "original_max_position_embeddings": 64, "rope_type": "llama3"})
    folder = root / "llama-sharded"
    folder.mkdir(exist_ok=True)
    bits = {}
    for name, value in make_weights(np.random.default_rng(2), c).items():
        raw = value.view(np.uint32)
        bits[name] = ((raw + 0x7FFF + ((raw >> 16) & 1)) >> 16).astype(np.uint16)
    names = list(bits)
    half = len(names) // 2
    weight_map = {}
    for i, part in enumerate([names[:half], names[half:]], 1):
        file = f"model-{i:05}-of-00002.safetensors"
        save_bf16({n: bits[n] for n in part}, folder / file)
        weight_map |= {n: file for n in part}
    write_json(folder / "model.safetensors.index.json",
               {"metadata": {"total_size": sum(b.nbytes for b in bits.values())}, "weight_map": weight_map})
    write_json(folder / "config.json", config(c, "bfloat16"))
    write_tokenizer(folder)
    save_expected(root, "llama-sharded",
                  {n: (b.astype(np.uint32) << 16).view(np.float32) for n, b in bits.items()}, c)


def make_gguf(root):
    c = dict(hidden=64, layers=2, heads=4, kv=2, dim=16, mlp=96, vocab=288, context=128, eps=1e-5, base=10000.0,
             tied=True)
    names = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
             "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
             "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
    writer = gguf.GGUFWriter(str(root / "llama-tiny.gguf"), "llama")
    writer.add_name("Tiny Llama")
    writer.add_block_count(c["layers"])
    writer.add_context_length(c["context"])
    writer.add_embedding_length(c["hidden"])
    writer.add_feed_forward_length(c["mlp"])
    writer.add_head_count(c["heads"])
    writer.add_head_count_kv(c["kv"])
    writer.add_rope_freq_base(c["base"])
    writer.add_rope_dimension_count(c["dim"])
    writer.add_layer_norm_rms_eps(c["eps"])
    writer.add_vocab_size(c["vocab"])
    tokens, merges = vocabulary()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if t == "<|end|>" else 1 for t in tokens])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(287)
    writer.add_eos_token_id(287)
    stored = {}
    for name, value in make_weights(np.random.default_rng(3), c).items():
        parts = name.split(".")
        key = ({"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}.get(name)
               or f"blk.{parts[2]}.{names['.'.join(parts[3:-1])]}.{parts[-1]}")
        heads = {"attn_q": c["heads"], "attn_k": c["kv"]}.get(key.split(".")[-2], 0)
        if heads:  # as the converter permutes: [heads, 2, dim/2] to [heads, dim/2, 2]
            value = value.reshape(heads, 2, -1, value.shape[1]).swapaxes(1, 2).reshape(value.shape)
        kind = (gguf.GGMLQuantizationType.F32 if value.ndim == 1 else
                gguf.GGMLQuantizationType.Q8_0 if key == "token_embd.weight" else gguf.GGMLQuantizationType.Q4_1)
        data = value if value.ndim == 1 else gguf.quants.quantize(value, kind)
        writer.add_tensor(key, data, raw_dtype=kind)
        value = value if value.ndim == 1 else gguf.quants.dequantize(data, kind)
        if heads:
            value = value.reshape(heads, -1, 2, value.shape[1]).swapaxes(1, 2).reshape(value.shape)
        stored[name] = value
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    c["eps"] = float(np.float32(c["eps"]))
    save_expected(root, "llama-tiny", stored, c)


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/fixtures")
    target.mkdir(parents=True, exist_ok=True)
    make_tied(target)
    make_sharded(target)
    make_gguf(target)
