"""What each ingredient of a recipe is worth: the tables of docs/Recipes.md, on development texts, one seed."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Sequence

from . import ours, steps
from .settings import ALL_MODELS, TEXTS, Work

WINDOWS = 16
SEED = 0
BATCH = 6  # rows that are evaluated together, whose artifacts are on disk meanwhile: 170 MB each
KIND = "development"  # the texts on which defaults are chosen


@dataclass(frozen=True)
class Ingredient:
    """A row. `recipe`: builtin:NAME, or the text of one."""

    name: str
    title: str
    recipe: str

    def text(self, qopt: ours.Qopt) -> str:
        return qopt.builtin(self.recipe) if self.recipe.startswith("builtin:") else self.recipe


@dataclass(frozen=True)
class Table:
    title: str
    rows: tuple[Ingredient, ...]


def _recipe(scheme: str, *settings: str, head: str = "keep") -> str:
    return "\n".join(["version: 1", f"scheme: {scheme}", f"head: {head}", *settings, "gates: []", ""])


def _gptq(**changed: object) -> str:
    settings = {"inputs": "statistics", "range": "hessian", "shrink": 0.1} | changed
    return "method: gptq\ngptq: {" + ", ".join(f"{name}: {value}" for name, value in settings.items()) + "}"


AWQ, MODULE = "awq: {shrink: 0.1}", "awq: {shrink: 0.1, objective: module}"
ROTATE = "rotate: {kind: hadamard}"


def _nearest(kind: str) -> str:
    return f"method: rtn\nrtn: {{range: {kind}}}"


def _smooth(alpha: object, **sites: object) -> str:
    return f"smooth_quant: {{alpha: {alpha}" + "".join(f", sites: {{{name.replace('_', '-')}: {at}}}" for name, at in sites.items()) + "}"


FOUR, FOUR_ASYM, THREE, THREE_ASYM = "w4a16:g64", "w4a16:g64:asym", "w3a16:g64", "w3a16:g64:asym"
FOUR_EIGHT_SYM = "w4a8:g64"
FOUR_EIGHT, EIGHT, STATIC = "w4a8:g64:asym", "w8a8:channel", "w8a8s:channel"
TABLES = (
    Table("4 bits in groups of 64", (
        Ingredient("w4-rtn", "round to nearest", _recipe(FOUR)),
        Ingredient("w4-gptq-hessian", "GPTQ, `range: hessian`", _recipe(FOUR, _gptq())),
        Ingredient("w4-gptq-signed", "the same, `range: signed` (`builtin:w4-g64-sym`)", _recipe(FOUR, _gptq(range="signed"))),
        Ingredient("w4-awq-gptq", "AWQ, then GPTQ", _recipe(FOUR, AWQ, _gptq())),
        Ingredient("w4-asym-rtn", "round to nearest, zero points", _recipe(FOUR_ASYM)),
        Ingredient("w4-asym-awq-rtn", "AWQ, then round to nearest, zero points", _recipe(FOUR_ASYM, AWQ)),
        Ingredient("w4-asym-module-rtn", "the same, `objective: module`", _recipe(FOUR_ASYM, MODULE)),
        Ingredient("w4-asym-awq-clip", "AWQ, then round to nearest, zero points, `range: clip`", _recipe(FOUR_ASYM, AWQ, _nearest("clip"))),
        Ingredient("w4-asym-awq-hessian", "the same, `range: hessian`", _recipe(FOUR_ASYM, AWQ, _nearest("hessian"))),
        Ingredient("w4-asym-gptq", "GPTQ, zero points", _recipe(FOUR_ASYM, _gptq())),
        Ingredient("w4-asym-awq-gptq", "AWQ, then GPTQ, zero points (`builtin:w4-g64`)", "builtin:w4-g64"),
        Ingredient("w4-asym-awq-gptq-quantized", "the same, `inputs: quantized`", _recipe(FOUR_ASYM, AWQ, _gptq(inputs="quantized"))),
    )),
    Table("GPTQ with zero points, 4 bits in groups of 64, and one setting of it", (
        *(Ingredient(f"gptq-shrink-{shrink}", f"`shrink: {shrink}`", _recipe(FOUR_ASYM, _gptq(shrink=shrink)))
          for shrink in (0, 0.02, 0.05, 0.2, 0.4)),
        Ingredient("gptq-stored", "`order: stored`", _recipe(FOUR_ASYM, _gptq(order="stored"))),
        Ingredient("gptq-live", "`order: stored`, `scales: live`", _recipe(FOUR_ASYM, _gptq(order="stored", scales="live"))),
        *(Ingredient(f"gptq-{kind}", f"`range: {kind}`", _recipe(FOUR_ASYM, _gptq(range=kind))) for kind in ("minmax", "power", "clip-all")),
        Ingredient("gptq-rotated", "`rotate: {kind: hadamard}` before it", _recipe(FOUR_ASYM, ROTATE, _gptq())),
        Ingredient("rtn-rotated", "`rotate: {kind: hadamard}`, round to nearest", _recipe(FOUR_ASYM, ROTATE)),
    )),
    Table("3 bits with zero points in groups of 64", (
        Ingredient("w3-rtn", "round to nearest", _recipe(THREE_ASYM)),
        Ingredient("w3-gptq", "GPTQ (`builtin:w3-g64`)", "builtin:w3-g64"),
        Ingredient("w3-awq-gptq", "AWQ, then GPTQ", _recipe(THREE_ASYM, AWQ, _gptq())),
    )),
    Table("3 bits in groups of 64", tuple(
        Ingredient(f"w3-sym-gptq-{kind}", f"GPTQ, `range: {kind}`", _recipe(THREE, _gptq(range=kind))) for kind in ("hessian", "signed"))),
    Table("4 bits in groups of 64, 8-bit activations by token", tuple(
        Ingredient(f"w4a8-sym-gptq-{kind}", f"SmoothQuant, α 0.5, then GPTQ, `range: {kind}`, `inputs: quantized`",
                   _recipe(FOUR_EIGHT_SYM, _smooth(0.5), _gptq(range=kind, inputs="quantized"))) for kind in ("hessian", "signed"))),
    Table("4 bits with zero points in groups of 64, 8-bit activations by token", (
        Ingredient("w4a8-rtn", "round to nearest", _recipe(FOUR_EIGHT)),
        Ingredient("w4a8-smooth-gptq", "SmoothQuant, α searched, then GPTQ", _recipe(FOUR_EIGHT, _smooth("search"), _gptq())),
        Ingredient("w4a8-awq-gptq-statistics", "AWQ, then GPTQ, `inputs: statistics`", _recipe(FOUR_EIGHT, AWQ, _gptq())),
        Ingredient("w4a8-awq-gptq", "AWQ, then GPTQ (`builtin:w4a8`)", "builtin:w4a8"),
    )),
    Table("8 bits by channel, 8-bit activations by token", (
        *(Ingredient(f"w8a8-{name}-{label}", f"{title}; head: `{head}`", _recipe(EIGHT, *settings, head=head))
          for head, label in (("keep", "kept"), ("w8a8:g32", "a8")) for name, title, settings in (
              ("rtn", "round to nearest", ()), ("smooth", "SmoothQuant, α 0.5", (_smooth(0.5),)),
              ("search", "SmoothQuant, α searched", (_smooth("search"),)))),
        *(Ingredient(f"w8a8-search-gptq-{inputs}", f"SmoothQuant, α searched, then GPTQ, `inputs: {inputs}`; head: `keep`",
                     _recipe(EIGHT, _smooth("search"), _gptq(inputs=inputs))) for inputs in ("statistics", "quantized")),
        Ingredient("w8a8-rtn", "round to nearest; head: `w8a16:g32`", _recipe(EIGHT, head="w8a16:g32")),
        Ingredient("w8a8-search", "SmoothQuant, α searched; head: `w8a16:g32`", _recipe(EIGHT, _smooth("search"), head="w8a16:g32")),
        Ingredient("w8a8-search-gptq", "SmoothQuant, α searched, then GPTQ; head: `w8a16:g32` (`builtin:w8a8`)", "builtin:w8a8"),
    )),
    Table("8 bits by channel, static 8-bit activations, head kept", (
        *(Ingredient(f"static-{alpha}-{kind}", f"SmoothQuant, α {alpha}, `range: {kind}`",
                     _recipe(STATIC, _smooth(alpha), f"activations: {{range: {kind}}}"))
          for alpha, kind in ((0.5, "max"), (0.5, "error"), (0.7, "max"), (0.8, "max"), (0.8, "error"))),
        Ingredient("static-0.8-percentile", "SmoothQuant, α 0.8, `range: percentile`, 99.999",
                   _recipe(STATIC, _smooth(0.8), "activations: {range: percentile, percentile: 99.999}")),
        Ingredient("static-0.8-output", "SmoothQuant, α 0.8, α 1 of `mlp-output`, `range: max`",
                   _recipe(STATIC, _smooth(0.8, mlp_output=1), "activations: {range: max}")),
        *(Ingredient(f"static-0.8-gptq-{inputs}", f"SmoothQuant, α 0.8, `range: max`, then GPTQ, `inputs: {inputs}`",
                     _recipe(STATIC, _smooth(0.8), "activations: {range: max}", _gptq(inputs=inputs))) for inputs in ("statistics", "quantized")),
    )),
)


def _result(work: Work, row: Ingredient, model: str) -> Path:
    return work.results / "ingredients" / f"{row.name}-{model}.json"


def _key(qopt: ours.Qopt, work: Work, row: Ingredient, model: str) -> dict[str, Any]:
    return ours.calibration_key(work, model, SEED) | {"recipe": row.text(qopt), "evaluation": ours.evaluation_key(work, KIND, WINDOWS)}


def _source(work: Work, recipe: str, model: str) -> list[object]:
    """What `qopt quantize` calibrates with. Statistics are of the model as it is after it was rotated."""
    if not any(f"{word}:" in recipe for word in ("gptq", "awq", "smooth_quant")):
        return []
    return ours.calibration_words(work, SEED) if "rotate:" in recipe else ["--statistics", work.statistics(model, SEED)]


def _make(qopt: ours.Qopt, work: Work, row: Ingredient, model: str) -> dict[str, Any]:
    folder = work.base / "ingredients" / f"{row.name}-{model}"
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "recipe.yaml"
    recipe.write_text(row.text(qopt), encoding="utf-8")
    cost, made = ours.compiled(qopt, work, model, recipe, _source(work, row.text(qopt), model), folder)
    return made | {"artifact": folder / "q.qopt", "seconds": cost.seconds}


def run(qopt: ours.Qopt, work: Work, models: Sequence[str], rows: Sequence[str] | None, until: float) -> None:
    """Quantizes and evaluates what there is no record of, some rows at a time: they share one run of the reference. Begins none after
    `until` (time.monotonic())."""
    for model in models:
        missing = [row for table in TABLES for row in table.rows if (rows is None or row.name in rows) and
                   steps.recall(_result(work, row, model), _key(qopt, work, row, model)) is None]
        if time.monotonic() < until and any("--statistics" in _source(work, row.text(qopt), model) for row in missing):
            ours.calibrate(qopt, work, model, SEED, sums=True)
        while missing and time.monotonic() < until:
            batch, missing = missing[:BATCH], missing[BATCH:]
            made = {row.name: _make(qopt, work, row, model) for row in batch}
            said = ours.evaluate(qopt, work, {name: one["artifact"] for name, one in made.items()}, model, KIND, WINDOWS, "ingredients")
            for row in batch:
                one = {name: value for name, value in made[row.name].items() if name != "artifact"}
                steps.keep(_result(work, row, model), _key(qopt, work, row, model),
                           {"build": qopt.build(), **one, "evaluation": said[row.name]})
                shutil.rmtree(made[row.name]["artifact"].parent)


def markdown(qopt: ours.Qopt, work: Work) -> str:
    """The tables, with what has a record of its present recipe."""
    lines, builds = [], set()
    for table in TABLES:
        lines += [f"| {table.title} | bits per weight | " + " | ".join(f"{model}: near | far" for model in ALL_MODELS) + " |",
                  "|---|---|" + "---|---|" * len(ALL_MODELS)]
        for row in table.rows:
            records = {model: steps.recall(_result(work, row, model), _key(qopt, work, row, model)) for model in ALL_MODELS}
            found = [record for record in records.values() if record]
            builds |= {record["build"] for record in found}
            bits = f"{found[0]['bits_per_weight']:.2f}" if found else ""
            cells = [f"{record['evaluation'][where]['kl_divergence']['value']:.4f}" if record else ""
                     for record in records.values() for where in TEXTS[KIND]]
            lines.append(f"| {row.title} | {bits} | " + " | ".join(cells) + " |")
        lines.append("")
    lines.append(f"{WINDOWS} windows of {KIND} texts, seed {SEED}, one run each, {len(builds)} build{'s' * (len(builds) != 1)} of qopt.")
    return "\n".join(lines)
