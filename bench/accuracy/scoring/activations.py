"""Peers of rows whose activations are quantized too: measured by activations.py, and held against `qopt eval`."""

import json
import subprocess
from pathlib import Path
from typing import Any, Mapping

import numpy as np

from . import steps
from .settings import HERE, LENGTH, TEXTS, Work, digest

# Nats, of a window's loss by two programs in f32 on the same weights and windows: 1.6e-6 is what all records are apart. Tokens that
# differ, another window or another model would be off by whole nats, and bf16 by thousandths.
LOSS_TOLERANCE = 1e-4
KL_TOLERANCE = 0.02  # relative, of a window's divergence, of the weights alone
CHECKED = 8  # windows that both programs measure, evenly; the reference's loss on all of them the report holds against ours
KL_FLOOR = 1e-4  # nats, below which relative differences mean nothing


class Disagree(Exception):
    """The two programs do not measure the same thing."""


def script() -> dict[str, str]:
    """By which script peers with quantized activations are measured: their records name it, and the report compares."""
    return {"activations.py": digest(HERE / "activations.py")}


def spread(whole: int, count: int) -> list[int]:
    """Which of a text's windows `qopt eval --spread` takes."""
    taken = min(count, whole)
    return [index * whole // taken for index in range(taken)]


def windows(qopt: Path, work: Work, model: str, text: Path) -> np.ndarray:
    """All windows of a text, [windows, tokens]."""
    with text.open("rb") as stream:
        said = subprocess.run([qopt, "tokenize", work.model(model), "--text", "-", "--plain", "--no-special", "--json"], stdin=stream,
                              capture_output=True, check=True)
    ids = np.array(json.loads(said.stdout)["ids"], np.int32)
    whole = len(ids) // LENGTH
    return ids[:whole * LENGTH].reshape(whole, LENGTH)


def agree(plain: list[dict[str, float]], quantized: list[dict[str, float]], compiled: Mapping[str, Any], where: str) -> float:
    """Refuses what the two programs measure differently on the windows that both have seen: the reference's loss, the divergence of
    the weights alone. `compiled`: of ours.evaluate. Gives the ratio of the mean divergences, which is what is left between them."""
    count = len(compiled["window_kl"])
    if len(plain) != count or len(quantized) != count:
        raise Disagree(f"{where}: expected {count} windows with plain activations and with quantized ones, but got "
                       f"{len(plain)} and {len(quantized)}")
    for index, (here, loss) in enumerate(zip(quantized, compiled["window_reference_loss"])):
        if abs(here["reference_loss"] - loss) > LOSS_TOLERANCE:
            raise Disagree(f"{where}, window {index}: expected the reference's loss of {loss:.5f}, as qopt eval measures it, but "
                           f"got {here['reference_loss']:.5f}")
    for index, (here, kl) in enumerate(zip(plain, compiled["window_kl"])):
        if abs(here["kl_divergence"] - kl) > KL_TOLERANCE * kl + KL_FLOOR:
            raise Disagree(f"{where}, window {index}: expected a divergence of {kl:.6f} of the weights alone, as qopt eval measures "
                           f"it, but got {here['kl_divergence']:.6f}")
    return float(np.mean([here["kl_divergence"] for here in plain]) / np.mean(compiled["window_kl"]))


def evaluate(qopt: Path, work: Work, python: Path, folder: Path, plain: Path, model: str, texts: str, count: int, kind: str,
             scales: Mapping[str, float], compiled: Mapping[str, Any], linears: int) -> dict[str, Any]:
    """What ours.evaluate gives on `count` windows, with activations quantized; `compiled` is that for the weights alone, on
    CHECKED windows. `linears`: how many there are, whose inputs all have to be quantized."""
    said: dict[str, Any] = {}
    for where, name in TEXTS[texts].items():
        tokens, out = folder / f"{where}.npy", folder / f"{where}.activations.json"
        every = windows(qopt, work, model, work.text(name))
        which = spread(len(every), count)
        checked = [which.index(window) for window in spread(len(every), CHECKED) if window in which]
        taken = every[which]
        np.save(tokens, taken)
        given = []
        if kind == "tensor":
            steps.write_json(folder / "scales.json", dict(scales))
            given = ["--scales", folder / "scales.json"]
        steps.command([python, HERE / "activations.py", plain, work.model(model), "--windows", tokens, "--activations", kind, *given,
                       "--plain", ",".join(map(str, checked)), "--out", out], out.with_suffix(".log"))
        made = steps.read_json(out)
        if len(made["quantized"]) != len(taken):
            raise Disagree(f"{where}: expected {len(taken)} windows, but got {len(made['quantized'])}")
        if made["linears"] != linears:
            raise Disagree(f"{where}: expected the inputs of {linears} linears to be quantized, but they are of {made['linears']}")
        agreement = agree(made["plain"], [made["quantized"][index] for index in checked], compiled[where], where)

        def mean(key: str) -> float:
            return float(np.mean([window[key] for window in made["quantized"]]))

        protocol = compiled[where]["protocol"] | {"windows": len(taken), "predictions": len(taken) * (LENGTH - 1)}
        said[where] = {"protocol": protocol, "linears": made["linears"],
                       "weights_alone": {"windows": len(checked), "kl_divergence": compiled[where]["kl_divergence"], "torch_over_qopt": agreement},
                       "kl_divergence": {"value": mean("kl_divergence")},
                       "perplexity": {"value": float(np.exp(mean("loss")))}, "top1_agreement": {"value": mean("top1_agreement")},
                       "window_kl": [window["kl_divergence"] for window in made["quantized"]],
                       "window_reference_loss": [window["reference_loss"] for window in made["quantized"]]}
    return said
