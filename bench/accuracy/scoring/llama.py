"""A Llama in numpy and f64: slow, plain, and made of nothing that it is there to check."""

import json
from pathlib import Path

import numpy as np

from .tensors import Checkpoint


def _rms(x: np.ndarray, weight: np.ndarray, epsilon: float) -> np.ndarray:
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * weight


def _rotate(x: np.ndarray, base: float) -> np.ndarray:
    """Rotary positions on x : [heads, tokens, dim]; the two halves of a head are a pair, as transformers stores them."""
    half = x.shape[-1] // 2
    angle = np.arange(x.shape[1])[:, None] * base ** (-np.arange(half) / half)
    sine, cosine = np.sin(angle), np.cos(angle)
    first, second = x[..., :half], x[..., half:]
    return np.concatenate([first * cosine - second * sine, second * cosine + first * sine], -1)


def logits(folder: Path, tokens: np.ndarray) -> np.ndarray:
    """[tokens, vocabulary] of a Hugging Face directory with a Llama without biases."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    weights = Checkpoint(folder)
    heads, shared = config["num_attention_heads"], config["num_key_value_heads"]
    width, epsilon, base = config["head_dim"], config["rms_norm_eps"], config["rope_theta"]

    def read(name: str) -> np.ndarray:
        return weights[name + ".weight"].astype(np.float64)

    embedding = read("model.embed_tokens")
    x = embedding[tokens]
    length = len(tokens)
    hidden_from = np.triu(np.full((length, length), -np.inf), 1)  # a token sees none that follows
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        normed = _rms(x, read(prefix + "input_layernorm"), epsilon)

        def split(name: str, count: int) -> np.ndarray:
            return (normed @ read(f"{prefix}self_attn.{name}").T).reshape(length, count, width).swapaxes(0, 1)

        query, key = _rotate(split("q_proj", heads), base), _rotate(split("k_proj", shared), base)
        key, value = (np.repeat(each, heads // shared, axis=0) for each in (key, split("v_proj", shared)))
        scores = query @ key.swapaxes(1, 2) / np.sqrt(width) + hidden_from
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        attended = (scores / scores.sum(-1, keepdims=True)) @ value
        x = x + attended.swapaxes(0, 1).reshape(length, heads * width) @ read(prefix + "self_attn.o_proj").T
        normed = _rms(x, read(prefix + "post_attention_layernorm"), epsilon)
        gate = normed @ read(prefix + "mlp.gate_proj").T
        x = x + (gate / (1 + np.exp(-gate)) * (normed @ read(prefix + "mlp.up_proj").T)) @ read(prefix + "mlp.down_proj").T
    head = embedding if config["tie_word_embeddings"] else read("lm_head")
    return _rms(x, read("model.norm"), epsilon) @ head.T
