"""Our side: references, calibration, quantization, and the evaluation that both sides go through."""

import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Sequence

import numpy as np
from compare.models import of_overlay

from . import steps
from .settings import CALIBRATION, LENGTH, ROWS, SAMPLES, SCORING, TEXTS, Row, Work, digest
from .tensors import Checkpoint


@dataclass(frozen=True)
class Qopt:
    program: Path

    def version(self) -> dict[str, str]:
        """Digests of the program and of its library: figures of another build are figures of another compiler."""
        said = subprocess.run([self.program, "recipes"], capture_output=True, text=True, check=True)
        folders = (self.program.parent, self.program.parent.parent / "lib")
        libraries = sorted({file.resolve() for folder in folders for file in folder.glob("libqopt.so*")})
        return {"program": digest(self.program), "recipes": said.stdout, "libraries": " ".join(digest(file) for file in libraries)}

    def build(self) -> str:
        """Names a build: one word for its version."""
        return hashlib.sha256(json.dumps(self.version(), sort_keys=True).encode()).hexdigest()[:16]

    def builtin(self, name: str) -> str:
        return subprocess.run([self.program, "recipes", name], capture_output=True, text=True, check=True).stdout

    def recipe(self, row: Row) -> str:
        return self.builtin(row.recipe) if row.recipe.startswith("builtin:") else row.recipe_text()


def reference(qopt: Qopt, work: Work, model: str) -> None:
    """The model as it is, in f32: what both sides' quantized models are held against."""
    artifact, imported = work.reference(model), work.imported(model)

    def make() -> dict[str, Any]:
        imported.parent.mkdir(parents=True, exist_ok=True)
        costs = [steps.command([qopt.program, "import", work.model(model), "-o", imported], imported.with_suffix(".import.log")),
                 steps.command([qopt.program, "compile", imported, "-o", artifact], imported.with_suffix(".compile.log"))]
        return {"cost": steps.total(costs)}

    key = {"model": digest(work.model(model) / "model.safetensors"), "qopt": qopt.build()}
    steps.once(artifact.with_suffix(".json"), key, make, [artifact, imported])


def calibration_key(work: Work, model: str, seed: int) -> dict[str, Any]:
    return {"model": digest(work.model(model) / "model.safetensors"), "texts": [digest(work.text(name)) for name in CALIBRATION],
            "samples": SAMPLES, "length": LENGTH, "seed": seed}


def calibration_words(work: Work, seed: int) -> list[object]:
    """How a command of qopt is told to take the calibration windows of a seed."""
    return [*(word for name in CALIBRATION for word in ("--text", work.text(name))), "--samples", SAMPLES, "--length", LENGTH, "--seed", seed]


def calibrate(qopt: Qopt, work: Work, model: str, seed: int, *, sums: bool) -> dict[str, Any]:
    """Statistics of the model on the calibration windows, and these windows' tokens. Peers need the tokens alone, which come
    without the `sums` of products in a run of their own, unless one with them has left them already."""
    reference(qopt, work, model)
    archive, windows = work.statistics(model, seed), work.tokens(model, seed)
    key = calibration_key(work, model, seed) | {"qopt": qopt.build()}
    tokens_record = archive.with_suffix(".tokens.json")

    def make() -> dict[str, Any]:
        made = archive if sums else archive.with_suffix(".tokens.safetensors")
        archive.parent.mkdir(parents=True, exist_ok=True)
        cost = steps.command([qopt.program, "calibrate", work.imported(model), *calibration_words(work, seed), *([] if sums else ["--samples-alone"]), "-o", made], archive.with_suffix(".log"))
        taken = Checkpoint(made)["samples.tokens"]
        if taken.shape != (SAMPLES, LENGTH):
            raise steps.Failed(f"expected {SAMPLES} windows of {LENGTH} tokens, but got {list(taken.shape)}\nin: {made}\n"
                               "next: take longer calibration texts")
        np.save(windows, taken)
        if sums:
            steps.write_json(tokens_record, {"key": key, "cost": steps.total([cost])})
        else:
            made.unlink()
        return {"cost": steps.total([cost])}

    return steps.once(archive.with_suffix(".json") if sums else tokens_record, key, make, [archive, windows] if sums else [windows])


def evaluate(qopt: Qopt, work: Work, artifacts: Mapping[str, Path], model: str, texts: str, windows: int,
             name_of_run: str) -> dict[str, dict[str, Any]]:
    """KL(reference ‖ model) and what else `qopt eval` says of each artifact, on windows that are spread over the near and the far text,
    window by window. The reference is run once for all."""
    said: dict[str, dict[str, Any]] = {name: {} for name in artifacts}
    for where, name in TEXTS[texts].items() if artifacts else ():
        # Of these artifacts and this text alone: others may be evaluated at the same time.
        rows = hashlib.sha256(" ".join(artifacts).encode()).hexdigest()[:8]
        output = work.base / "evaluations" / f"{name_of_run}.{model}.{rows}.{name}.json"
        steps.command([qopt.program, "eval", *artifacts.values(), "--against", work.reference(model), "--text", work.text(name),
                       "--window", LENGTH, "--windows", windows, "--spread", "--json"], output.with_suffix(".log"), output)
        text = output.read_text(encoding="utf-8")
        each = [text] if len(artifacts) == 1 else text.splitlines()  # an object a line only where there are several
        for (artifact, path), full in zip(artifacts.items(), map(json.loads, each), strict=True):
            if full["model"]["file"] != str(path):
                raise steps.Failed(f"expected figures of {path}, but got those of {full['model']['file']}\nin: {output}")
            here = {key: full[key] for key in ("protocol", "kl_divergence", "perplexity", "reference_perplexity", "top1_agreement")}
            for ours, theirs in (("window_kl", "kl_divergence"), ("window_reference_loss", "reference_loss")):
                here[ours] = [window[theirs] for window in full["per_window"]]
            said[artifact][where] = here
    return said


def evaluation_key(work: Work, texts: str, windows: int) -> dict[str, Any]:
    return {"texts": {where: digest(work.text(name)) for where, name in TEXTS[texts].items()}, "windows": windows, "scoring": SCORING}


def search(qopt: Qopt, work: Work, row: Row, model: str, seed: int, output: Path) -> steps.Cost:
    """The mix of bits for the row's budget, looked for on the calibration texts."""
    texts = [word for name in CALIBRATION for word in ("--text", work.text(name))]
    return steps.command([qopt.program, "search", work.imported(model), "--statistics", work.statistics(model, seed), *texts, "--seed",
                          seed, "--recipe", row.recipe_argument(), "--bits", row.budget, "-o", output], output.with_suffix(".log"))


def made_as(row: Row) -> str:
    """The first row that asks for the same model, by name: rows that differ in the peer alone are quantized and evaluated once."""
    return next(other.name for other in ROWS.values() if (other.recipe, other.budget) == (row.recipe, row.budget))


def _artifact(work: Work, row: Row, model: str, seed: int) -> Path:
    return work.ours(made_as(row), model, seed) / "q.qopt"


def tensors_digest(overlay: Path) -> str:
    """Of all that quantization has chosen: names, types, shapes and bytes of an overlay's tensors, without its metadata, which
    says by which version it was made."""
    made, said = Checkpoint(overlay), hashlib.sha256()
    for name, (_, _, kind, shape, _) in sorted(made.entries.items()):
        said.update(f"{name} {kind} {shape}\n".encode() + made.stored(name).tobytes())
    return said.hexdigest()


def of_sources(qopt: Qopt, row: Row) -> dict[str, Any]:
    """What of a record's key the sources alone decide: a record that differs in it is not of this comparison."""
    return {"recipe": qopt.recipe(row), "budget": row.budget}


def _row_key(qopt: Qopt, work: Work, row: Row, model: str, seed: int) -> dict[str, Any]:
    return calibration_key(work, model, seed) | {"row": row.name, **of_sources(qopt, row)}


def compiled(qopt: Qopt, work: Work, model: str, recipe: object, source: Sequence[object], folder: Path) -> tuple[steps.Cost, dict[str, Any]]:
    """Quantizes by a recipe, with what `source` calibrates by, and compiles to folder/q.qopt. Gates are not judged: they would evaluate
    what is evaluated next. Gives what quantizing cost, and what was made."""
    folder.mkdir(parents=True, exist_ok=True)
    quantized = folder / "q.mlir"
    cost = steps.command([qopt.program, "quantize", work.imported(model), "--recipe", recipe, *source, "--no-gates", "-o", quantized],
                         folder / "quantize.log")
    steps.command([qopt.program, "compile", quantized, "-o", folder / "q.qopt"], folder / "compile.log")
    overlay = quantized.with_suffix(".safetensors")
    return cost, {"bits_per_weight": of_overlay(overlay).body, "tensors": tensors_digest(overlay)}


def _quantize(qopt: Qopt, work: Work, row: Row, model: str, seed: int) -> dict[str, Any]:
    """One row of ours with one seed: calibrate, quantize, compile."""
    artifact = _artifact(work, row, model, seed)
    folder = artifact.parent

    def make() -> dict[str, Any]:
        calibrated = calibrate(qopt, work, model, seed, sums=True)
        costs, recipe = [steps.Cost(**step) for step in calibrated["cost"]["steps"]], row.recipe_argument()
        if row.budget is not None:
            folder.mkdir(parents=True, exist_ok=True)
            costs.append(search(qopt, work, row, model, seed, folder / "mixed.yaml"))
            recipe = folder / "mixed.yaml"
        cost, made = compiled(qopt, work, model, recipe, ["--statistics", work.statistics(model, seed)], folder)
        return made | {"cost": steps.total([*costs, cost]), "tokens": digest(work.tokens(model, seed))}

    key = _row_key(qopt, work, row, model, seed) | {"row": made_as(row), "qopt": qopt.build()}
    return steps.once(folder / "made.json", key, make, [artifact])


def _clean(work: Work, rows: Sequence[Row], model: str, seed: int) -> None:
    for row in rows:
        shutil.rmtree(work.ours(made_as(row), model, seed), ignore_errors=True)
    work.statistics(model, seed).unlink(missing_ok=True)


def run(qopt: Qopt, work: Work, rows: Sequence[Row], model: str, seed: int, texts: Sequence[str], windows: int,
        keep: bool) -> list[dict[str, Any]]:
    """Ours with one seed: each row quantized and compiled, all evaluated together. What is recorded is not made again, of whatever
    build it is: `confirm` tells whether this build makes the same of it, and the report refuses builds that nothing connects."""
    keys = {(row.name, kind): _row_key(qopt, work, row, model, seed) | {"evaluation": evaluation_key(work, kind, windows)}
            for row in rows for kind in texts}

    def result(row: Row, kind: str) -> Path:
        return work.result("ours", row.name, model, seed, kind)

    missing = {kind: [row for row in rows if steps.outdated(result(row, kind), keys[row.name, kind])] for kind in texts}
    all_missing = [row for row in rows if any(row in those for those in missing.values())]
    if all_missing:
        reference(qopt, work, model)
    quantized = {row.name: _quantize(qopt, work, row, model, seed) for row in all_missing}
    for kind, those in missing.items():
        said = evaluate(qopt, work, {made_as(row): _artifact(work, row, model, seed) for row in those}, model, kind, windows,
                        f"ours-{seed}")
        for row in those:
            made = {name: value for name, value in quantized[row.name].items() if name != "key"}
            steps.keep(result(row, kind), keys[row.name, kind],
                       {"side": "ours", "row": row.name, "model": model, "seed": seed, "texts": kind, "builds": [qopt.build()], **made,
                        "evaluation": said[made_as(row)]})
    if not keep:
        _clean(work, all_missing, model, seed)
    return [steps.read_json(result(row, kind)) for row in rows for kind in texts]


@dataclass
class Confirmed:
    """Rows by name: those that have records, and of them those of which this build makes something else."""

    found: list[str]
    differ: list[str]


def confirm(qopt: Qopt, work: Work, rows: Sequence[Row], model: str, seed: int, texts: Sequence[str], keep: bool) -> Confirmed:
    """Quantizes again what another build has left records of, and adds this build to those of which it makes the same tensors. What
    this build has made or confirmed is not made again."""
    said = Confirmed([], [])
    for row in rows:
        records = {path: steps.read_json(path) for kind in texts
                   if (path := work.result("ours", row.name, model, seed, kind)).exists()}
        if records:
            said.found.append(row.name)
        others = {path: record for path, record in records.items() if qopt.build() not in record["builds"]}
        if not others:
            continue
        key = _row_key(qopt, work, row, model, seed)
        made = _quantize(qopt, work, row, model, seed)
        same = {path: record for path, record in others.items()
                if record["tensors"] == made["tensors"] and {name: record["key"].get(name) for name in key} == key}
        for path, record in same.items():
            steps.write_json(path, record | {"builds": [*record["builds"], qopt.build()]})
        if len(same) != len(others):
            said.differ.append(row.name)
    if not keep:
        _clean(work, rows, model, seed)
    return said
