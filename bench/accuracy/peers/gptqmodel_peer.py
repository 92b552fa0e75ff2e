"""GPTQModel: GPTQ with its defaults, at our group size."""

import os
import sys

import common
from rows import GPTQMODEL as ROWS

PACKAGES = ("GPTQModel", "torch", "transformers", "Defuser", "TokeNicer", "accelerate")
# Its pool of threads has (CPUs + 1) / 2 workers, two of which another part claims: on two CPUs it does not start without.
WORKERS = ("GPTQMODEL_CPU_WORKERS", "2")


def main() -> int:
    os.environ.setdefault(*WORKERS)
    options = common.arguments(__doc__, list(ROWS))
    settings = ROWS[options.row]
    import torch
    from gptqmodel import GPTQModel, QuantizeConfig

    torch.manual_seed(options.seed)
    windows = common.tokens(options)
    samples = [{"input_ids": window.tolist(), "attention_mask": [1] * len(window)} for window in windows]
    config = QuantizeConfig(**settings)

    def quantize() -> None:
        model = GPTQModel.load(str(options.model), config, device="cpu", dtype=torch.float32)
        model.quantize(samples, batch_size=1)
        model.save(str(options.out / "model"))

    every = config.to_dict()
    every["meta"].pop("offload_to_disk_path", None)  # a temporary folder
    return common.measured(options, PACKAGES, {"given": settings, "all": every},
                           [f"environment: {WORKERS[0]}={os.environ[WORKERS[0]]}"], quantize)


if __name__ == "__main__":
    sys.exit(main())
