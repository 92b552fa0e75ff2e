"""llm-compressor: GPTQ, AWQ, and SmoothQuant with GPTQ, saved as compressed-tensors."""

import sys
from typing import Any

import common
from rows import LLMCOMPRESSOR as ROWS

PACKAGES = ("llmcompressor", "compressed-tensors", "torch", "transformers", "datasets")

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
