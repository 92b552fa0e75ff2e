"""What is compared with what: rows, models, texts, and where things lie."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
SAMPLES, LENGTH = 128, 512  # calibration windows and the tokens in each
WINDOWS = 64  # of each text that is evaluated
SCORING = 2  # raised where a score comes to mean something else: every record is then made again
OUR_SEEDS, PEER_SEEDS = (0, 1, 2, 3, 4), (0, 1)
SEEDLESS = ("llamacpp",)  # draw nothing and take no calibration text: seed 0 is all that there is
MODELS = ("plain", "dithered")  # claims are made on these; `rotated` is there for whom it serves
ALL_MODELS = MODELS + ("rotated",)
CALIBRATION = ("calibration-technical", "calibration-essays")
TEXTS = {"development": {"near": "development-near", "far": "development-far"},
         "evaluation": {"near": "evaluation-near", "far": "evaluation-far"}}


@dataclass(frozen=True)
class Row:
    """One comparison. `bound` is what the upper end of the ratio's interval has to stay below; None: the ratio is reported."""

    name: str
    title: str
    recipe: str  # ours: builtin:NAME, or a file of recipes/
    peers: tuple[str, ...]
    bound: float | None
    bits: int
    group: int | None  # None: a scale for each output
    symmetric: bool  # of the peer
    rescaled: bool = False  # the peer may scale channels that a norm writes
    pairs: bool = False  # and those that up writes for down, and v for o
    feedback: bool = False  # the peer feeds a weight's error on to others, as GPTQ does
    activations: str | None = None  # the peer's, in 8 bits: "token" or "tensor", of which each has one scale
    budget: float | None = None  # bits of a weight, for `qopt search` to spend: the recipe is what it starts from
    spare_bits: float = 0.005  # that ours may spend on a weight beyond the peer: where it spends more, no bound holds
    time_bound: float | None = None  # what our seconds over theirs have to stay below, on the same CPUs and with nobody beside

    def recipe_text(self) -> str:
        """Of a recipe of ours that is a file."""
        return (HERE / "recipes" / self.recipe).read_text(encoding="utf-8")

    def recipe_argument(self) -> str:
        return self.recipe if self.recipe.startswith("builtin:") else str(HERE / "recipes" / self.recipe)


ROWS = {row.name: row for row in (
    Row("w4-gptq", "W4 g64, default GPTQ", "builtin:w4-g64-sym", ("gptqmodel", "llmcompressor"), 0.75, 4, 64, True, feedback=True),
    Row("w4-awq", "W4 g64 with zero points, AWQ and ranges", "w4-awq.yaml", ("llmcompressor",), 1.0, 4, 64, False, rescaled=True,
        pairs=True),
    Row("w4-best", "W4 g64 with zero points, best recipe", "builtin:w4-g64", ("autoround",), 1.0, 4, 64, False, time_bound=0.25),
    Row("w4-best-sym", "W4 g64, best recipe", "builtin:w4-g64-sym", ("autoround",), None, 4, 64, True),
    Row("w3-gptq", "W3 g64, GPTQ", "w3-gptq.yaml", ("gptqmodel",), 0.75, 3, 64, True, feedback=True),
    Row("w8a8-dynamic", "W8A8, activations by token", "w8a8-dynamic.yaml", ("llmcompressor",), 1.02, 8, None, True,
        rescaled=True, feedback=True, activations="token"),
    Row("w4a8", "W4A8 g64", "w4a8.yaml", ("llmcompressor",), 1.0, 4, 64, True, rescaled=True, feedback=True,
        activations="token"),
    Row("w8a8-static", "W8A8, one scale for all activations", "w8a8-static.yaml", ("llmcompressor",), 1.0, 8, None, True,
        rescaled=True, feedback=True, activations="tensor"),
    Row("mixed", "mixed, 5.53 bits", "mixed.yaml", ("llamacpp",), 0.8, 0, None, False, budget=5.53),
)}
PEERS = {"gptqmodel": "gptqmodel_peer.py", "llmcompressor": "llmcompressor_peer.py", "autoround": "autoround_peer.py",
         "llamacpp": "llamacpp_peer.py"}


@dataclass(frozen=True)
class Work:
    """The folders below build/accuracy, and the one of records, which are kept with the sources: a peer's run takes up to two hours."""

    base: Path
    results: Path = HERE / "results"

    def text(self, name: str) -> Path:
        return self.base / "texts" / f"{name}.txt"

    def model(self, name: str) -> Path:
        return self.base / "models" / name

    def gguf(self, name: str) -> Path:
        return self.base / "models" / f"{name}.gguf"

    def reference(self, model: str) -> Path:
        return self.base / "references" / f"{model}.qopt"

    def imported(self, model: str) -> Path:
        return self.base / "references" / f"{model}.mlir"

    def statistics(self, model: str, seed: int) -> Path:
        return self.base / "calibration" / f"{model}-{seed}.safetensors"

    def tokens(self, model: str, seed: int) -> Path:
        return self.base / "calibration" / f"{model}-{seed}.npy"

    def ours(self, row: str, model: str, seed: int) -> Path:
        return self.base / "ours" / f"{row}-{model}-{seed}"

    def peer(self, peer: str, row: str, model: str, seed: int) -> Path:
        return self.base / "peers" / f"{peer}-{row}-{model}-{seed}"

    def python(self, peer: str) -> Path:
        return self.base / f"venv-{peer}" / "bin" / "python"

    def result(self, side: str, row: str, model: str, seed: int, texts: str) -> Path:
        return self.results / f"{side}-{row}-{model}-{seed}-{texts}.json"


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
