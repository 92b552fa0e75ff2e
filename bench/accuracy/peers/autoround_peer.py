"""auto-round, its "light" recipe: 50 iterations a block, exported in GPTQ's format (its `fake` export has the original weights)."""

import sys
from typing import Any

import common

PACKAGES = ("auto-round", "torch", "transformers")
# `auto-round-light` at our group size. Its samples of 2048 tokens become ours of 512: a quarter of the tokens it would take.
# Compiling by torch, its default, took longer on two CPUs than it could save; it changes no figure by intent.
LIGHT: dict[str, Any] = {"scheme": "W4A16", "group_size": 64, "iters": 50, "lr": 5e-3, "batch_size": 8,
                         "enable_torch_compile": False}
ROWS = {"w4-best": LIGHT | {"sym": False}, "w4-best-sym": LIGHT | {"sym": True}}
FORMAT = "auto_gptq"


def main() -> int:
    options = common.arguments(__doc__, list(ROWS))
    settings = ROWS[options.row]
    import auto_round
    import torch
    import transformers

    windows = torch.from_numpy(common.tokens(options))
    batches = [{"input_ids": batch, "attention_mask": torch.ones_like(batch)} for batch in windows.split(settings["batch_size"])]

    def quantize() -> None:
        model = transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32, local_files_only=True)
        tokenizer = transformers.AutoTokenizer.from_pretrained(options.model, local_files_only=True)
        rounding = auto_round.AutoRound(model, tokenizer, **settings, dataset=batches, nsamples=len(windows),
                                        seqlen=windows.shape[1], seed=options.seed, device_map="cpu")
        rounding.quantize_and_save(str(options.out / "saved"), format=FORMAT)
        # It makes a folder of its own below the one that it is told.
        (made,) = (options.out / "saved").rglob("config.json")
        made.parent.rename(options.out / "model")

    return common.measured(options, PACKAGES, settings | {"format": FORMAT}, [], quantize)


if __name__ == "__main__":
    sys.exit(main())
