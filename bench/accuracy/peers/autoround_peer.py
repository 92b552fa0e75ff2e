"""auto-round, its "light" recipe: 50 iterations a block, exported in GPTQ's format (its `fake` export has the original weights)."""

import sys

import common
from rows import AUTOROUND as ROWS

PACKAGES = ("auto-round", "torch", "transformers")
FORMAT = "auto_gptq"


def main() -> int:
    options = common.arguments(__doc__, list(ROWS))
    settings = ROWS[options.row]
    import auto_round
    import torch
    import transformers

    windows = torch.from_numpy(common.tokens(options))
    batches = [{"input_ids": batch, "attention_mask": torch.ones_like(batch)} for batch in windows.split(settings["batch_size"])]

    told = {**settings, "format": FORMAT}

    def quantize() -> None:
        model = transformers.AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32, local_files_only=True)
        tokenizer = transformers.AutoTokenizer.from_pretrained(options.model, local_files_only=True)
        rounding = auto_round.AutoRound(model, tokenizer, **settings, dataset=batches, nsamples=len(windows),
                                        seqlen=windows.shape[1], seed=options.seed, device_map="cpu")
        rounding.quantize_and_save(str(options.out / "saved"), format=FORMAT)
        told["amp_dtype"] = str(rounding.model_context.amp_dtype)
        # It makes a folder of its own below the one that it is told.
        (made,) = (options.out / "saved").rglob("config.json")
        made.parent.rename(options.out / "model")

    return common.measured(options, PACKAGES, told, [], quantize)


if __name__ == "__main__":
    sys.exit(main())
