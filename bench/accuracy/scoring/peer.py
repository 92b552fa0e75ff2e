"""A peer: its virtual environment, its run, and what its output is worth."""

import json
import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

import numpy as np
from compare import models

from peers.rows import ROWS as SETTINGS

from . import activations, gguf_blocks, ours, steps, tensors, unpack, verify
from .settings import HERE, PEERS, ROOT, TEXTS, Row, Work, digest

# How each peer's file is read: from tensors, the linear's name, and the row.
Reader = Callable[[Mapping[str, np.ndarray], str, Row], unpack.Linear]
READERS: dict[str, Reader] = {
    "gptqmodel": lambda stored, name, row: unpack.gptq(stored, name, row.bits, row.group, row.symmetric),
    "autoround": lambda stored, name, row: unpack.gptq(stored, name, row.bits, row.group, row.symmetric),
    "llmcompressor": lambda stored, name, row: unpack.compressed(stored, name, row.bits, row.group, row.symmetric),
}


LLAMA = "llamacpp"  # no Python package: bench/peers builds it, it reads GGUF files, and what it writes is read as one


def install(work: Work, peer: str) -> None:
    """Its virtual environment with the versions of peers/NAME.txt, all of them pinned."""
    if peer == LLAMA:
        return
    wanted, folder = HERE / "peers" / f"{peer}.txt", work.python(peer).parent.parent

    def make() -> dict[str, Any]:
        costs = [steps.command([sys.executable, "-m", "venv", "--clear", folder], folder.with_suffix(".venv.log")),
                 steps.command([work.python(peer), "-m", "pip", "install", "--disable-pip-version-check", "-r", wanted],
                               folder.with_suffix(".pip.log"))]
        return {"cost": steps.total(costs)}

    steps.once(folder.with_suffix(".json"), {"requirements": wanted.read_text(encoding="utf-8")}, make, [work.python(peer)])


def _made_by(peer: str) -> dict[str, str]:
    """The peer's version: the versions that are asked for, or what builds it."""
    if peer == LLAMA:
        return {name: digest(ROOT / "bench/peers" / name) for name in ("setup_llama_cpp.sh", "LlamaDriver.cpp")}
    return {"requirements": (HERE / "peers" / f"{peer}.txt").read_text(encoding="utf-8")}


def _run_key(work: Work, peer: str, row: Row, model: str, seed: int) -> dict[str, Any]:
    return {"model": digest(work.model(model) / "model.safetensors"), "tokens": digest(work.tokens(model, seed)), "row": row.name,
            "seed": seed, **of_sources(peer, row)["run"]}


def _stored_as(row: Row) -> dict[str, Any]:
    """What of a row decides how a peer's output is read and scored. Its bound, and what ours does, make no peer run again."""
    return {name: getattr(row, name) for name in ("bits", "group", "symmetric", "rescaled", "activations")}


def recorded(work: Work, peer: str, row: Row, model: str, seed: int) -> list[Path]:
    """Records of what this peer, with these settings and versions, makes of these windows, however they were scored."""
    wanted = json.loads(json.dumps(_run_key(work, peer, row, model, seed)))
    return [path for texts in TEXTS if (path := work.result(peer, row.name, model, seed, texts)).exists()
            and steps.read_json(path)["key"]["run"] == wanted]


def is_scored(work: Work, peer: str, row: Row, model: str, seed: int, texts: str, windows: int) -> bool:
    """Whether there is a record of this run, scored as it would be now."""
    wanted = _score_key(work, _run_key(work, peer, row, model, seed), row, texts, windows)
    return steps.recall(work.result(peer, row.name, model, seed, texts), wanted) is not None


def _score_key(work: Work, run: Mapping[str, Any], row: Row, texts: str, windows: int) -> dict[str, Any]:
    return {"run": run, "row": _stored_as(row), "evaluation": ours.evaluation_key(work, texts, windows)}


def of_sources(peer: str, row: Row) -> dict[str, Any]:
    """What of a record's key the sources alone decide: a record that differs in it is not of this comparison."""
    return {"run": {"settings": SETTINGS[peer][row.name], "script": digest(HERE / "peers" / PEERS[peer]),
                    "common": digest(HERE / "peers/common.py"), **_made_by(peer)}, "row": _stored_as(row)}


def run(qopt: ours.Qopt, work: Work, peer: str, row: Row, model: str, seed: int, again: bool) -> None:
    """Lets the peer quantize the model on the windows that ours with this seed has taken. What is recorded is not run `again`
    unless that is asked for."""
    ours.calibrate(qopt, work, model, seed, sums=False)
    if (kept := recorded(work, peer, row, model, seed)) and not again:
        print(f"  it is recorded in {', '.join(path.name for path in kept)}: --again runs it all the same", file=sys.stderr)
        return
    install(work, peer)
    folder, script = work.peer(peer, row.name, model, seed), HERE / "peers" / PEERS[peer]

    def make() -> dict[str, Any]:
        shutil.rmtree(folder, ignore_errors=True)
        python, source = (sys.executable, work.gguf(model)) if peer == LLAMA else (work.python(peer), work.model(model))
        cost = steps.command([python, script, "--model", source, "--tokens", work.tokens(model, seed),
                              "--row", row.name, "--seed", seed, "--out", folder], folder.with_suffix(".log"), folder=folder.parent)
        said = steps.read_json(folder / "peer.json")
        # Seconds are the peer's own, without importing its libraries; memory is the process's.
        return {"cost": steps.total([cost]) | {"seconds": said["seconds"]}, "peer": said}

    record, key = folder.with_suffix(".json"), _run_key(work, peer, row, model, seed)
    if not again:
        steps.once(record, key, make, [folder / "model"])
        return
    steps.keep(record, key, make())
    for path in kept:
        path.unlink()  # of the run before


def plain(work: Work, stored: Path, peer: str, row: Row, model: str, out: Path) -> verify.Verified:
    """Unpacks what a peer stored, checks it against the model that it was given, and writes it as f32 weights, with the
    configuration and tokenizer of that model."""
    original = tensors.Checkpoint(work.model(model))
    if peer == LLAMA:
        made, levels = gguf_blocks.read(stored / "model.gguf")
        seen = verify.blocks(made, original, levels)
        seen.bits_per_weight = models.of_gguf(stored / "model.gguf").body
        _write(work, model, made, out)
        return seen
    file = tensors.Checkpoint(stored)
    packed = tensors.Read(file)
    names = _linears(original)
    linears = {f"{name}.weight": READERS[peer](packed, name, row) for name in names}
    rest = {name: packed[name] for name in packed if name.endswith(".weight") and name not in linears}
    if row.activations == "tensor":
        unpack.input_scales(packed, names)
    unpack.all_read(packed)
    made, seen = verify.model(linears, rest, {name: file.kind(name) for name in rest}, original, row,
                              steps.read_json(work.model(model) / "config.json")["head_dim"])
    _write(work, model, made, out)
    return seen


def _write(work: Work, model: str, made: Mapping[str, np.ndarray], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for file in work.model(model).glob("*.json"):
        shutil.copy(file, out)
    tensors.write(out / "model.safetensors", made, {"format": "pt"})


def _linears(original: Mapping[str, np.ndarray]) -> list[str]:
    return sorted(name.removesuffix(".weight") for name in original if name.endswith("_proj.weight"))


def _input_scales(work: Work, row: Row, model: str, stored: Path) -> dict[str, float]:
    """Of a row whose activations have one scale for each linear; none of other rows."""
    if row.activations != "tensor":
        return {}
    return unpack.input_scales(tensors.Checkpoint(stored), _linears(tensors.Checkpoint(work.model(model))))


def _read(work: Work, peer: str, row: Row, model: str, folder: Path) -> verify.Verified | None:
    """The weights in folder/plain, unpacked and checked; None, with the reason printed, where they cannot be scored."""
    try:
        return plain(work, folder / "model", peer, row, model, folder / "plain")
    except (unpack.Malformed, verify.Unfaithful) as refused:
        print(f"run.py: {peer} {row.name} is not scored: {refused}\nin: {folder}", file=sys.stderr)
        return None


def score(qopt: ours.Qopt, work: Work, peer: str, rows: Sequence[Row], model: str, seed: int, texts: Sequence[str], windows: int,
          keep: bool) -> list[dict[str, Any]]:
    """A peer's KL divergences, by the program and on the windows that ours are measured by and on. Raises Failed after the
    others have been scored where a row's output is refused."""
    runs = {row.name: _run_key(work, peer, row, model, seed) for row in rows}
    keys = {(row.name, kind): _score_key(work, runs[row.name], row, kind, windows) for row in rows for kind in texts}

    def result(row: Row, kind: str) -> Path:
        return work.result(peer, row.name, model, seed, kind)

    missing = {kind: [row for row in rows if steps.recall(result(row, kind), keys[row.name, kind]) is None] for kind in texts}
    all_missing = [row for row in rows if any(row in those for those in missing.values())]
    folders = {row.name: work.peer(peer, row.name, model, seed) for row in all_missing}
    ran = {row.name: _ran(folders[row.name], runs[row.name], row, peer, model, seed) for row in all_missing}
    for kind, those in missing.items():
        for row in those:
            result(row, kind).unlink(missing_ok=True)  # of another key: nobody shall take it for current
    if all_missing:
        ours.reference(qopt, work, model)
    seen, artifacts = {}, {}
    for row in all_missing:
        folder = folders[row.name]
        if (found := _read(work, peer, row, model, folder)) is not None:
            seen[row.name], artifacts[row.name] = found, folder / "plain.qopt"
            steps.command([qopt.program, "build", folder / "plain", "-o", artifacts[row.name]], folder / "build.log")
    for kind, those in missing.items():
        readable = [row for row in those if row.name in seen]
        said: dict[str, dict[str, Any]] = {}
        # Where activations are quantized too, another program measures them, and `qopt eval` whether it measures the same.
        for count, each in ((windows, [row for row in readable if not row.activations]),
                            (min(windows, activations.CHECKED), [row for row in readable if row.activations])):
            said |= ours.evaluate(qopt, work, {row.name: artifacts[row.name] for row in each}, model, kind, count,
                                  "-".join([peer, *(row.name for row in each), str(seed)]))
        for row in readable:
            folder, evaluation, found = folders[row.name], said[row.name], seen[row.name]
            if row.activations:
                evaluation = activations.evaluate(qopt.program, work, work.python("llmcompressor"), folder, folder / "plain", model,
                                                  kind, windows, row.activations, _input_scales(work, row, model, folder / "model"),
                                                  evaluation, found.linears)
            steps.keep(result(row, kind), keys[row.name, kind], {
                "side": peer, "row": row.name, "model": model, "seed": seed, "texts": kind, "measured_by": qopt.build(),
                "bits_per_weight": found.bits_per_weight, "cost": ran[row.name]["cost"], "peer": ran[row.name]["peer"],
                "verified": asdict(found) | {"untouched": len(found.untouched)}, "evaluation": evaluation,
                **({"measured_with": activations.script()} if row.activations else {})})
    for name, artifact in artifacts.items() if not keep else ():
        shutil.rmtree(folders[name] / "plain")
        artifact.unlink()
    if refused := [row.name for row in all_missing if row.name not in seen]:
        raise steps.Failed(f"expected outputs that can be scored, but {', '.join(refused)} of {peer} were refused, as said above; the "
                           "others are scored")
    return [steps.read_json(result(row, kind)) for row in rows for kind in texts]


def _ran(folder: Path, wanted: Mapping[str, Any], row: Row, peer: str, model: str, seed: int) -> dict[str, Any]:
    """The record of a run, or Failed with what to run."""
    path = folder.with_suffix(".json")
    if (record := steps.recall(path, wanted, [folder / "model"])) is not None:
        return record
    why = "it was made by another script, version or model" if path.exists() else "it has not been run"
    raise steps.Failed(f"expected what {peer} makes of {row.name}, {model}, seed {seed}, but {why}\nin: {path}\n"
                       f"next: run.py peer {peer} --again --rows {row.name} --models {model} --seeds {seed}")
