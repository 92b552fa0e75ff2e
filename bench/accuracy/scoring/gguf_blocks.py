"""Llama models in GGUF files, by the names and in the row order of Hugging Face transformers. Needs the package gguf, whose
reader of quantized blocks is the reference one."""

import re
from pathlib import Path
from typing import Any, Iterator

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter
from gguf.quants import dequantize

BLOCK = 32  # weights of a Q4_1 block: an f16 step, an f16 minimum, 16 bytes of codes
BLOCK_BYTES = 20
WEIGHTS = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
           "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
           "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


class Source:
    """The GGUF file: its tensors by the names and in the row order of Hugging Face transformers."""

    def __init__(self, path: Path) -> None:
        self.reader = GGUFReader(path)
        self.config = self._config()

    def _value(self, key: str) -> float | int:
        field = self.reader.fields[f"llama.{key}"]
        return field.parts[field.data[0]][0].item()

    def _config(self) -> dict[str, Any]:
        hidden, heads = self._value("embedding_length"), self._value("attention.head_count")
        names = {tensor.name for tensor in self.reader.tensors}
        return {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "torch_dtype": "float32",
            "hidden_size": hidden, "intermediate_size": self._value("feed_forward_length"),
            "num_hidden_layers": self._value("block_count"), "num_attention_heads": heads,
            "num_key_value_heads": self._value("attention.head_count_kv"), "head_dim": hidden // heads,
            "vocab_size": self._value("vocab_size"), "max_position_embeddings": self._value("context_length"),
            "rope_theta": self._value("rope.freq_base"), "rms_norm_eps": self._value("attention.layer_norm_rms_epsilon"),
            "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": "output.weight" not in names,
            "bos_token_id": 1, "eos_token_id": 2,
        }

    def tensors(self) -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
        """(name, weights, the step of each weight's block or None), in f32, [out, in] or [channels]."""
        for tensor in self.reader.tensors:
            weights = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
            steps = None
            if tensor.tensor_type == GGMLQuantizationType.Q4_1:
                blocks = np.ascontiguousarray(tensor.data.reshape(weights.shape[0], -1, BLOCK_BYTES)[..., :2])
                steps = np.repeat(np.abs(blocks.view(np.float16)[..., 0].astype(np.float32)), BLOCK, axis=1)
            heads = self._heads(tensor.name.split(".")[-2])
            if heads is not None:
                weights = self._halves(weights, heads)
                steps = None if steps is None else self._halves(steps, heads)
            yield self.named(tensor.name), weights, steps

    def _heads(self, stem: str) -> int | None:
        """How many heads the rows of this tensor are, of those whose rows are in rotary pairs."""
        return {"attn_q": self.config["num_attention_heads"], "attn_k": self.config["num_key_value_heads"]}.get(stem)

    @staticmethod
    def named(name: str) -> str:
        """The Hugging Face name of a tensor."""
        block = re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", name)
        return (f"model.layers.{block[1]}.{WEIGHTS[block[2]]}" if block else OUTSIDE[name.removesuffix(".weight")]) + ".weight"

    def kinds(self) -> dict[str, GGMLQuantizationType]:
        return {self.named(tensor.name): tensor.tensor_type for tensor in self.reader.tensors}

    @staticmethod
    def _halves(rows: np.ndarray, heads: int) -> np.ndarray:
        """GGUF has the two rows of a rotary pair beside each other, transformers half a head apart."""
        return np.ascontiguousarray(rows.reshape(heads, -1, 2, rows.shape[-1]).swapaxes(1, 2)).reshape(rows.shape)

    @staticmethod
    def _pairs(rows: np.ndarray, heads: int) -> np.ndarray:
        """Undoes _halves."""
        return np.ascontiguousarray(rows.reshape(heads, 2, -1, rows.shape[-1]).swapaxes(1, 2)).reshape(rows.shape)

    def write_gguf(self, made: dict[str, np.ndarray], path: Path) -> None:
        """The same file with these weights, in f32, for a peer that reads nothing else."""
        back = {theirs: ours for ours, theirs in (WEIGHTS | OUTSIDE).items()}
        writer = GGUFWriter(path, "llama")
        for field in self.reader.fields.values():
            if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type"):
                continue
            kind = field.types[0]
            writer.add_key_value(field.name, field.contents(), kind, field.types[-1] if kind == GGUFValueType.ARRAY else None)
        for name, weights in made.items():
            layer = re.fullmatch(r"model\.layers\.(\d+)\.(.+)\.weight", name)
            stem = back[layer[2] if layer else name.removesuffix(".weight")]
            heads = self._heads(stem)
            writer.add_tensor(f"blk.{layer[1]}.{stem}.weight" if layer else f"{stem}.weight",
                              weights if heads is None else self._pairs(weights, heads))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

# Of the types that llama.cpp may choose for a linear: how many weights share a scale, and how many values these take.
LEVELS = {GGMLQuantizationType.Q4_K: (32, 16), GGMLQuantizationType.Q5_K: (32, 32), GGMLQuantizationType.Q5_0: (32, 32),
          GGMLQuantizationType.Q6_K: (16, 64), GGMLQuantizationType.Q8_0: (32, 256)}


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, tuple[int, int]]]:
    """All weights by name, and of the linears that are quantized (weights that share a scale, values that these may take)."""
    source, levels = Source(path), {}
    weights = {name: values for name, values, _ in source.tensors()}
    for name, kind in source.kinds().items():
        if name.endswith("_proj.weight"):
            if kind not in LEVELS:
                raise ValueError(f"{path}: expected one of {', '.join(each.name for each in LEVELS)} for {name}, but got {kind.name}")
            levels[name] = LEVELS[kind]
    return weights, levels
