"""llm-compressor: GPTQ, AWQ, and SmoothQuant with GPTQ, saved as compressed-tensors."""

import sys
from typing import Any

import common

PACKAGES = ("llmcompressor", "compressed-tensors", "torch", "transformers", "datasets")


def _weights(bits: int, symmetric: bool) -> dict[str, Any]:
    return {"num_bits": bits, "type": "int", "symmetric": symmetric, "strategy": "group", "group_size": 64}


_PER_TOKEN = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "token", "dynamic": True}
_PER_TENSOR = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "tensor", "dynamic": False}
_CHANNEL = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel"}
# Modifiers by name with what they are told; the rest are the peer's defaults. Its presets have groups of 128, which does not
# divide this model's 576 inputs. A smoothing strength of 0.8 is that of its documented W8A8 recipe.
ROWS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "w4-gptq": [("GPTQModifier", {"config_groups": {"linears": {"targets": ["Linear"], "weights": _weights(4, True)}}})],
    "w4-awq": [("AWQModifier", {}),
               ("QuantizationModifier", {"config_groups": {"linears": {"targets": ["Linear"], "weights": _weights(4, False)}}})],
    "w8a8-dynamic": [("SmoothQuantModifier", {"smoothing_strength": 0.8}),
                     ("GPTQModifier", {"config_groups": {"linears": {
                         "targets": ["Linear"], "weights": _CHANNEL, "input_activations": _PER_TOKEN}}})],
    "w8a8-static": [("SmoothQuantModifier", {"smoothing_strength": 0.8}),
                    ("GPTQModifier", {"config_groups": {"linears": {
                        "targets": ["Linear"], "weights": _CHANNEL, "input_activations": _PER_TENSOR}}})],
    "w4a8": [("SmoothQuantModifier", {"smoothing_strength": 0.8}),
             ("GPTQModifier", {"config_groups": {"linears": {
                 "targets": ["Linear"], "weights": _weights(4, True), "input_activations": _PER_TOKEN}}})],
}
IGNORED = ["lm_head"]


def leave_unpinned(torch: Any) -> str:
    """AWQ pins memory for copies to a GPU without asking whether there is one, and pinning raises where there is none."""
    torch.Tensor.pin_memory = lambda tensor, *_: tensor
    return "torch.Tensor.pin_memory returns the tensor as it is: without a GPU it raises, and AWQ calls it all the same"


def main() -> int:
    options = common.arguments(__doc__, list(ROWS))
    import datasets
    import torch
    import transformers
    from llmcompressor import oneshot
    from llmcompressor.modifiers.gptq import GPTQModifier
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from llmcompressor.modifiers.transform.awq import AWQModifier
    from llmcompressor.modifiers.transform.smoothquant import SmoothQuantModifier

    patches = [] if torch.accelerator.is_available() else [leave_unpinned(torch)]
    torch.manual_seed(options.seed)
    windows = common.tokens(options)
    samples = datasets.Dataset.from_dict({"input_ids": windows.tolist(), "attention_mask": [[1] * windows.shape[1]] * len(windows)})
    kinds = {each.__name__: each for each in (GPTQModifier, QuantizationModifier, AWQModifier, SmoothQuantModifier)}
    recipe = []
    for name, settings in ROWS[options.row]:
        ignored = {"ignore": IGNORED} if "config_groups" in settings else {}
        recipe.append(kinds[name](**settings, **ignored))

    def quantize() -> None:
        model = transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32, local_files_only=True)
        oneshot(model=model, dataset=samples, recipe=recipe, max_seq_length=windows.shape[1],
                num_calibration_samples=len(windows))
        model.save_pretrained(options.out / "model", save_compressed=True)

    return common.measured(options, PACKAGES, {"recipe": ROWS[options.row], "ignore": IGNORED}, patches, quantize)


if __name__ == "__main__":
    sys.exit(main())
