"""llama.cpp's own quantizer, by bench/peers' driver (setup_llama_cpp.sh builds both). It takes no calibration text."""

import json
import os
import subprocess
import sys
from pathlib import Path

import common
from rows import LLAMACPP as ROWS

DRIVER = Path(__file__).resolve().parents[3] / "build/peers/llama-driver"


def main() -> int:
    options = common.arguments(__doc__, list(ROWS))
    if not DRIVER.exists():
        raise SystemExit(f"expected llama.cpp's driver at {DRIVER}, but there is none\nnext: bench/peers/setup_llama_cpp.sh")
    info = json.loads(subprocess.run([DRIVER, "info"], capture_output=True, text=True, check=True).stdout)
    settings = {"format": ROWS[options.row], "llama_cpp": info["llama_cpp"], "name": info["name"]}

    def quantize() -> None:
        (options.out / "model").mkdir(exist_ok=True)
        subprocess.run([DRIVER, "quantize", options.model, options.out / "model/model.gguf", ROWS[options.row], "--threads",
                        str(len(os.sched_getaffinity(0)))], check=True)

    return common.measured(options, (), settings, [], quantize)


if __name__ == "__main__":
    sys.exit(main())
