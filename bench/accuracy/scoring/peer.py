"""A peer: its virtual environment, its run, and what its output is worth."""

import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

import numpy as np
from compare import models

from . import activations, gguf_blocks, ours, steps, tensors, unpack, verify
from .settings import HERE, PEERS, ROOT, Row, Work, digest

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
    """The peer's version: the versions that are asked for, or the program."""
    if peer == LLAMA:
        return {"driver": digest(ROOT / "build/peers/llama-driver")}
    return {"requirements": (HERE / "peers" / f"{peer}.txt").read_text(encoding="utf-8")}


def _run_key(work: Work, peer: str, row: Row, model: str, seed: int) -> dict[str, Any]:
    return {"model": digest(work.model(model) / "model.safetensors"), "tokens": digest(work.tokens(model, seed)), "row": row.name,
            "script": digest(HERE / "peers" / PEERS[peer]), "common": digest(HERE / "peers/common.py"), "seed": seed,
            **_made_by(peer)}


def run(qopt: ours.Qopt, work: Work, peer: str, row: Row, model: str, seed: int) -> dict[str, Any]:
    """Lets the peer quantize the model on the windows that ours with this seed has taken."""
    install(work, peer)
    ours.calibrate(qopt, work, model, seed, sums=False)
    folder, script = work.peer(peer, row.name, model, seed), HERE / "peers" / PEERS[peer]

    def make() -> dict[str, Any]:
        shutil.rmtree(folder, ignore_errors=True)
        python, source = (sys.executable, work.gguf(model)) if peer == LLAMA else (work.python(peer), work.model(model))
        cost = steps.command([python, script, "--model", source, "--tokens", work.tokens(model, seed),
                              "--row", row.name, "--seed", seed, "--out", folder], folder.with_suffix(".log"))
        said = steps.read_json(folder / "peer.json")
        # Seconds are the peer's own, without importing its libraries; memory is the process's.
        return {"cost": steps.total([cost]) | {"seconds": said["seconds"]}, "peer": said}

    return steps.once(folder.with_suffix(".json"), _run_key(work, peer, row, model, seed), make, [folder / "model"])


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
    packed = tensors.Checkpoint(stored)
    names = sorted(name for name in original if name.endswith("_proj.weight"))
    linears = {name: READERS[peer](packed, name.removesuffix(".weight"), row) for name in names}
    rest = {name: packed[name] for name in packed if name.endswith(".weight") and name not in linears}
    made, seen = verify.model(linears, rest, {name: packed.kind(name) for name in rest}, original, bits=row.bits,
                              rescaled=row.rescaled,
                              head_dim=steps.read_json(work.model(model) / "config.json")["head_dim"])
    _write(work, model, made, out)
    return seen


def _write(work: Work, model: str, made: Mapping[str, np.ndarray], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for file in work.model(model).glob("*.json"):
        shutil.copy(file, out)
    tensors.write(out / "model.safetensors", made, {"format": "pt"})


def input_scales(stored: Path) -> dict[str, float]:
    """The scale of each linear's inputs where the peer has fixed one: `input_scale`, one number."""
    packed = tensors.Checkpoint(stored)
    return {name.removesuffix(".input_scale"): packed[name].item() for name in packed if name.endswith(".input_scale")}


def _read(work: Work, peer: str, row: Row, model: str, folder: Path) -> verify.Verified | None:
    """The weights in folder/plain, unpacked and checked; None, with the reason printed, where they cannot be scored."""
    try:
        return plain(work, folder / "model", peer, row, model, folder / "plain")
    except (unpack.Malformed, verify.Unfaithful) as refused:
        print(f"run.py: {peer} {row.name} is not scored: {refused}\nin: {folder}", file=sys.stderr)
        return None


def score(qopt: ours.Qopt, work: Work, peer: str, rows: Sequence[Row], model: str, seed: int, texts: str, windows: int,
          keep: bool) -> list[dict[str, Any]]:
    """A peer's KL divergences, by the program and on the windows that ours are measured by and on. Raises Failed after the
    others have been scored where a row's output is refused."""
    ours.reference(qopt, work, model)
    ran, keys = {}, {}
    measured_by = {"qopt": qopt.version(), "evaluation": ours.evaluation_key(work, texts, windows),
                   "scripts": {file.name: digest(file) for file in
                               (HERE / "activations.py", Path(models.__file__), *sorted((HERE / "scoring").glob("*.py")))}}
    for row in rows:
        path, wanted = work.peer(peer, row.name, model, seed).with_suffix(".json"), _run_key(work, peer, row, model, seed)
        ran[row.name] = steps.recall(path, wanted)
        if ran[row.name] is None:
            raise steps.Failed(f"expected what {peer} makes of {row.name}, {model}, seed {seed}, but "
                               f"{'it was made by another script, version or model' if path.exists() else 'it has not been run'}\n"
                               f"in: {path}\nnext: run.py peer {peer} --rows {row.name} --models {model} --seeds {seed}")
        keys[row.name] = {"run": wanted, "row": asdict(row), **measured_by}

    def result(row: Row) -> Path:
        return work.result(peer, row.name, model, seed, texts)

    missing = [row for row in rows if steps.outdated(result(row), keys[row.name])]
    folders = {row.name: work.peer(peer, row.name, model, seed) for row in missing}
    seen, artifacts = {}, {}
    for row in missing:
        folder = folders[row.name]
        if (found := _read(work, peer, row, model, folder)) is not None:
            seen[row.name], artifacts[row.name] = found, folder / "plain.qopt"
            steps.command([qopt.program, "build", folder / "plain", "-o", artifacts[row.name]], folder / "build.log")
    said = ours.evaluate(qopt, work, artifacts, model, texts, windows, f"{peer}-{seed}")
    for row in missing:
        if row.name not in seen:
            continue
        folder, evaluation, found = folders[row.name], said[row.name], seen[row.name]
        if row.activations:
            evaluation = activations.evaluate(qopt.program, work, work.python("llmcompressor"), folder, folder / "plain", model, texts,
                                              windows, row.activations, input_scales(folder / "model"), evaluation)
        if not keep:
            shutil.rmtree(folder / "plain")
            artifacts[row.name].unlink()
        steps.keep(result(row), keys[row.name], {
            "side": peer, "row": row.name, "model": model, "seed": seed, "texts": texts, "bits_per_weight": found.bits_per_weight,
            "cost": ran[row.name]["cost"], "peer": ran[row.name]["peer"],
            "verified": asdict(found) | {"untouched": len(found.untouched)}, "evaluation": evaluation})
    if refused := [row.name for row in missing if row.name not in seen]:
        raise steps.Failed(f"expected outputs that can be scored, but {', '.join(refused)} of {peer} were refused, as said above; the "
                           "others are scored")
    return [steps.read_json(result(row)) for row in rows]
