#!/usr/bin/env python3
"""Writes the tiny checkpoints under tests/fixtures: random weights from a seed, and the logits that they give.

The directories are what transformers' own save_pretrained writes, the GGUF file is the gguf package's, and the logits are
those of transformers, in f32, which here must agree with numpy in f64. Needs transformers, torch, tokenizers and
safetensors; gguf, and accelerate, with which transformers reads GGUF. The same versions give the same bytes; those in the
tree are of transformers 5.23.0, torch 2.15.0 and gguf 0.19.0:

    python3 tools/dev/make_fixtures.py tests/fixtures

  llama-tied         Hugging Face, f32, tied head, byte-level tokenizer; groups of 64 do not divide the MLP's 96 inputs
  llama-sharded      Hugging Face, bf16 in two shards, untied, Llama 3's rotary scaling, head_dim other than
                     hidden / heads, biases on the attention's projections
  llama-tiny.gguf    GGUF: Q4_1 linears, Q8_0 embedding, F32 norms, tied

expected-NAME.safetensors holds `tokens` [n] i32, and `logits` [n, vocabulary] f32 of one sequence.
"""
import pathlib
import sys

import gguf
import numpy as np
import tokenizers
import torch
import transformers
from safetensors.numpy import save_file

sys.path.insert(0, str(pathlib.Path(__file__).parent / "oracle"))
import transformer as oracle  # noqa: E402

TOKENS = [1, 17, 42, 5, 99, 287, 0, 63, 64, 65, 130, 200, 3, 3, 250, 11]
# Between transformers in f32 and numpy in f64, relative to the largest logit: a few roundings of f32 a layer.
TOLERANCE = 2e-6


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


def forward(w, c, tokens):
    """Logits [tokens, vocabulary] of one sequence, in f64."""
    w = {k: v.astype(np.float64) for k, v in w.items()}
    dim, positions = c["dim"], np.arange(len(tokens))
    scaling = c.get("scaling")
    turns = oracle.frequencies(dim, c["base"], scaling and (
        scaling["factor"], scaling["low_freq_factor"], scaling["high_freq_factor"],
        scaling["original_max_position_embeddings"]))

    def linear(x, prefix):
        y = x @ w[prefix + ".weight"].T
        return y + w[prefix + ".bias"] if prefix + ".bias" in w else y

    x = w["model.embed_tokens.weight"][tokens]
    for i in range(c["layers"]):
        p = f"model.layers.{i}."
        h = oracle.rms_norm(x, w[p + "input_layernorm.weight"], c["eps"])
        q, k = (oracle.rotary(linear(h, p + f"self_attn.{name}_proj"), positions, dim, turns) for name in "qk")
        v = linear(h, p + "self_attn.v_proj")
        attended = oracle.attention(q, k, v, c["kv"], dim, 1 / np.sqrt(dim), 0)
        x = x + linear(attended, p + "self_attn.o_proj")
        h = oracle.rms_norm(x, w[p + "post_attention_layernorm.weight"], c["eps"])
        gate = linear(h, p + "mlp.gate_proj")
        x = x + linear(gate / (1 + np.exp(-gate)) * linear(h, p + "mlp.up_proj"), p + "mlp.down_proj")
    x = oracle.rms_norm(x, w["model.norm.weight"], c["eps"])
    return x @ w["model.embed_tokens.weight" if c["tied"] else "lm_head.weight"].T


def save_expected(root, name, c, where, **options):
    """The logits of what was saved, read again by transformers as f32, and checked."""
    model = transformers.AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32, local_files_only=True,
                                                              attn_implementation="eager", **options).eval()
    with torch.inference_mode():
        logits = model(torch.tensor([TOKENS]), use_cache=False).logits[0].numpy()
    weights = {key: value.numpy() for key, value in model.state_dict().items()}
    plain = forward(weights, c, TOKENS)
    difference = np.abs(logits - plain).max() / np.abs(plain).max()
    print(f"{name}: transformers and numpy differ by {difference:.2g} of the largest logit")
    assert difference < TOLERANCE, difference
    save_file({"tokens": np.array(TOKENS, np.int32), "logits": logits}, root / f"expected-{name}.safetensors")
    return weights


def save_tokenizer(folder, c):
    tokens, merges = vocabulary()
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE({t: i for i, t in enumerate(tokens)},
                                                           [tuple(merge.split(" ")) for merge in merges]))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens([tokenizers.AddedToken("<|end|>", normalized=False, special=True)])
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>",
                                         model_max_length=c["context"]).save_pretrained(folder)


def save_model(folder, c, seed, dtype, **options):
    """What save_pretrained makes of make_weights."""
    config = transformers.LlamaConfig(
        vocab_size=c["vocab"], hidden_size=c["hidden"], intermediate_size=c["mlp"], num_hidden_layers=c["layers"],
        num_attention_heads=c["heads"], num_key_value_heads=c["kv"], head_dim=c["dim"],
        max_position_embeddings=c["context"], rms_norm_eps=c["eps"], attention_bias=bool(c.get("bias")),
        rope_parameters={"rope_theta": c["base"], **c.get("scaling", {"rope_type": "default"})},
        tie_word_embeddings=c["tied"], bos_token_id=287, eos_token_id=287)
    model = transformers.LlamaForCausalLM(config)
    weights = {name: torch.from_numpy(value) for name, value in make_weights(np.random.default_rng(seed), c).items()}
    if c["tied"]:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    model.load_state_dict(weights)
    for old in folder.glob("*"):
        old.unlink()
    model.to(dtype).save_pretrained(folder, **options)
    save_tokenizer(folder, c)


def make_tied(root):
    c = dict(hidden=64, layers=2, heads=4, kv=2, dim=16, mlp=96, vocab=288, context=128, eps=1e-5, base=10000.0,
             tied=True)
    save_model(root / "llama-tied", c, 1, torch.float32)
    save_expected(root, "llama-tied", c, root / "llama-tied")


def make_sharded(root):
    c = dict(hidden=64, layers=2, heads=4, kv=2, dim=32, mlp=128, vocab=288, context=256, eps=1e-6, base=500000.0,
             tied=False, bias=True,
             scaling={"factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                      "original_max_position_embeddings": 64, "rope_type": "llama3"})
    save_model(root / "llama-sharded", c, 2, torch.bfloat16, max_shard_size="150KB")
    assert len(list((root / "llama-sharded").glob("model-*-of-00002.safetensors"))) == 2
    save_expected(root, "llama-sharded", c, root / "llama-sharded")


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
    read = save_expected(root, "llama-tiny", c, root, gguf_file="llama-tiny.gguf")
    for name, value in stored.items():
        assert np.array_equal(read[name], value), name


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/fixtures")
    target.mkdir(parents=True, exist_ok=True)
    make_tied(target)
    make_sharded(target)
    make_gguf(target)
