#!/usr/bin/env python3
"""Accuracy against peers: the same bits, the same calibration windows, both sides scored by `qopt eval`.

    run.py prepare --gguf "$(./setup.sh model)"          models, twins, texts, references
    run.py ours   [--rows …] [--models …] [--seeds …]    calibrate, quantize, compile, evaluate
    run.py peer NAME [--rows …] [--models …] [--seeds …] in a virtual environment of its own, made where it is missing
    run.py score NAME …                                  unpack, check, evaluate what a peer left
    run.py fill [--minutes N]                            all peers and scores that there is no record of, one on each CPU
    run.py confirm …                                     whether this build makes what another has left records of
    run.py ingredients [--rows …] [--models …]           what each ingredient of a recipe is worth: the tables of docs/Recipes.md
    run.py report [--output FILE] [--seed N]             a table in Markdown; exit code 4 where a bound does not hold, 3 where
                                                         results are missing

README.md has the columns, and what is measured and what is not. What has been run is not run again unless what it was made
from has changed; results/ has a record of each run.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Sequence

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # compare/, which the comparison of speed shares

from scoring import activations, ingredients, lanes, ours, peer, report, steps, unpack, verify  # noqa: E402
from scoring.settings import ALL_MODELS, MODELS, OUR_SEEDS, PEER_SEEDS, PEERS, ROOT, ROWS, TEXTS, WINDOWS, Row, Work  # noqa: E402

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qopt", type=Path, default=ROOT / "build/release/bin/qopt")
    parser.add_argument("--work", type=Path, default=ROOT / "build/accuracy", help="where everything is made")
    commands = parser.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("prepare", help="models, twins, texts, references")
    prepare.add_argument("--gguf", type=Path, required=True, help="SmolLM2-135M-Instruct.Q4_1.gguf")
    prepare.add_argument("--seed", type=int, default=0, help="of the twins")
    for name, text in (("ours", "calibrate, quantize, compile, evaluate"), ("peer", "run a peer"), ("score", "score a peer"),
                       ("fill", "run and score what there is no record of"), ("confirm", "quantize again, compare, record nothing but that"), ("report", "the table")):
        each = commands.add_parser(name, help=text)
        if name in ("peer", "score"):
            each.add_argument("name", choices=PEERS)
        if name != "report":
            each.add_argument("--rows", type=lambda text: text.split(","), help=f"of {', '.join(ROWS)}")
            each.add_argument("--models", type=lambda text: text.split(","), default=list(MODELS), help=f"of {', '.join(ALL_MODELS)}")
            each.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")],
                              default=list(PEER_SEEDS if name in ("peer", "score", "fill") else OUR_SEEDS))
        if name == "peer":
            each.add_argument("--again", action="store_true", help="also what there is a record of")
        else:
            each.add_argument("--texts", type=kinds_of_texts, default=["development"], help=f"of {', '.join(TEXTS)}; default: "
                              "development. evaluation is for final reports: nothing may be chosen by it")
        if name == "fill":
            each.add_argument("--peers", type=lambda text: text.split(","), default=list(PEERS), help=f"of {', '.join(PEERS)}")
            each.add_argument("--minutes", type=float, default=float("inf"), help="after which nothing more is begun")
        if name in ("ours", "score", "fill"):
            each.add_argument("--windows", type=int, default=WINDOWS, help=f"of each text, spread over it; default: {WINDOWS}")
        if name in ("ours", "score", "confirm"):
            each.add_argument("--keep", action="store_true", help="keep models and artifacts, half a gigabyte each")
        if name == "report":
            each.add_argument("--output", type=Path, help="also write JSON, with all that the table is made of")
            each.add_argument("--seed", type=int, help="figures of this seed alone, which are no claims: the table of README.md")
    each = commands.add_parser("ingredients", help="what each ingredient of a recipe is worth, on development texts")
    each.add_argument("--rows", type=lambda text: text.split(","), help="names in scoring/ingredients.py; default: all")
    each.add_argument("--models", type=lambda text: text.split(","), default=list(ALL_MODELS), help=f"of {', '.join(ALL_MODELS)}")
    each.add_argument("--minutes", type=float, default=float("inf"), help="after which nothing more is begun; 0 prints what there is")
    options = parser.parse_args()
    if getattr(options, "windows", 1) > activations.CHECKED and options.windows % activations.CHECKED != 0:
        parser.error(f"expected --windows to be a multiple of {activations.CHECKED}, of which two programs measure some, but got {options.windows}")
    if options.command == "report" and len(options.texts) != 1:
        parser.error(f"expected a report on one of {', '.join(TEXTS)}, but got both: figures on them are never mixed")
    return options


def kinds_of_texts(said: str) -> list[str]:
    kinds = said.split(",")
    if unknown := [kind for kind in kinds if kind not in TEXTS]:
        raise argparse.ArgumentTypeError(f"expected {' or '.join(TEXTS)}, but got {', '.join(unknown)}")
    return kinds


def rows_of(options: argparse.Namespace, name: str | None) -> list[Row]:
    """The rows that were asked for, or all; `name` is a peer."""
    known = [row for row in ROWS.values() if name is None or name in row.peers]
    if options.rows is None:
        return known
    for asked in options.rows:
        if asked not in ROWS:
            raise steps.Failed(f"expected rows of {', '.join(ROWS)}, but got {asked}")
        if ROWS[asked] not in known:
            raise steps.Failed(f"the row {asked} is not compared with {name}; rows that are: {', '.join(row.name for row in known)}")
    return [ROWS[asked] for asked in options.rows]


def prepare(options: argparse.Namespace, work: Work, qopt: ours.Qopt) -> None:
    subprocess.run([sys.executable, HERE / "texts.py", work.base / "texts"], check=True)
    exported, imported = work.base / "exported", work.base / "exported.mlir"
    steps.command([qopt.program, "import", options.gguf, "-o", imported], work.base / "import.log")
    steps.command([qopt.program, "export", imported, "--to", "hf", "-o", exported], work.base / "export.log")
    for model in ALL_MODELS:
        twin = [sys.executable, HERE / "make_twins.py", options.gguf, work.model(model), "--twin", model, "--seed", options.seed]
        written = ["--as-gguf", work.gguf(model)]
        subprocess.run([str(word) for word in [*twin, *written]], check=True)
        for name in TOKENIZER_FILES:
            (work.model(model) / name).write_bytes((exported / name).read_bytes())
        subprocess.run([str(word) for word in [*twin, "--check", "--plain", work.model("plain")]], check=True)
        ours.reference(qopt, work, model)
    (exported / "model.safetensors").unlink()


def confirm(options: argparse.Namespace, work: Work, qopt: ours.Qopt, rows: Sequence[Row]) -> None:
    """Whether this build makes what is recorded. Fails where it does not, and where a row that was asked for has no record: nothing is
    confirmed of it then."""
    found, differ, texts = set(), [], ",".join(options.texts)
    for model in options.models:
        for seed in options.seeds:
            said = ours.confirm(qopt, work, rows, model, seed, options.texts, options.keep)
            print(f"confirm: {model}, seed {seed}: recorded: {', '.join(said.found) or 'none'}", file=sys.stderr)
            found |= set(said.found)
            differ += [f"{row}, {model}, seed {seed}" for row in said.differ]
    if differ:
        raise steps.Failed(f"expected this build to make what is recorded, but it does not, of {'; '.join(differ)}\n"
                           f"next: remove the records of these rows, and run.py ours --texts {texts}")
    absent = [row.name for row in rows if row.name not in found]
    if absent and (options.rows or not found):
        raise steps.Failed(f"expected records on {texts} texts to confirm, but there is none of {', '.join(absent)} with these models and seeds\n"
                           f"next: run.py ours --texts {texts} makes them; what was recorded on other texts is confirmed with their --texts")


def reported(qopt: ours.Qopt, work: Work, texts: str, output: Path | None = None, seed: int | None = None) -> int:
    """Prints the report; gives 4 where a bound does not hold, 3 where none fails but something is missing, 0 where all is there and holds.
    Of one seed it prints the figures alone."""
    report.check_current(qopt, work, texts)
    if seed is not None:
        print(report.one_seed(work, texts, seed))
        return 0
    made = list(report.comparisons(work, texts, qopt.build()))
    print(report.markdown(work, texts, made))
    if output:
        report.write(work, texts, qopt.build(), made, output)
    if any(False in (one["holds"], one["time"]["holds"]) for one in made):
        return 4
    return 3 if report.missing(work, texts, made) else 0


def main() -> int:
    options = arguments()
    work, qopt = Work(options.work.resolve()), ours.Qopt(options.qopt.resolve())
    if not qopt.program.exists():
        raise steps.Failed(f"expected qopt at {qopt.program}, but there is none\nnext: ./setup.sh build, or name it with --qopt")
    if options.command != "report":
        work.base.mkdir(parents=True, exist_ok=True)
        # Held until the process ends.
        options.held = steps.one_build(work.base / "build-in-use", qopt.build())
    if options.command == "prepare":
        prepare(options, work, qopt)
        return 0
    if options.command == "report":
        return reported(qopt, work, options.texts[0], options.output, options.seed)
    for model in options.models:
        if not (work.model(model) / "model.safetensors").exists():
            raise steps.Failed(f"expected the model at {work.model(model)}, but there is none\nnext: run.py prepare")
    if options.command == "ingredients":
        known = [row.name for table in ingredients.TABLES for row in table.rows]
        if unknown := sorted(set(options.rows or ()) - set(known)):
            raise steps.Failed(f"expected rows of {', '.join(known)}, but got {', '.join(unknown)}")
        ingredients.run(qopt, work, options.models, options.rows, time.monotonic() + 60 * options.minutes)
        print(ingredients.markdown(qopt, work))
        return 0
    if options.command == "fill":
        began = time.monotonic()
        rows_of(options, None)
        if unknown := sorted(set(options.peers) - set(PEERS)):
            raise steps.Failed(f"expected peers of {', '.join(PEERS)}, but got {', '.join(unknown)}")
        lanes.prepare(qopt, work, options.peers, options.models, options.seeds)
        jobs = list(lanes.missing(work, options.peers, options.rows, options.models, options.seeds, options.texts, options.windows))
        lanes.report(lanes.run(qopt, work, jobs, options.texts, options.windows, began + 60 * options.minutes))
        return 0
    rows = rows_of(options, getattr(options, "name", None))
    if options.command == "confirm":
        confirm(options, work, qopt, rows)
        return 0
    # Seeds outside of rows: rows share what calibration gathers, which is large, and what the reference says.
    for model in options.models:
        for seed in options.seeds:
            print(f"{options.command}: {', '.join(row.name for row in rows)}; {model}, seed {seed}", file=sys.stderr)
            if options.command == "peer":
                for row in rows:
                    peer.run(qopt, work, options.name, row, model, seed, options.again)
                continue
            how = (rows, model, seed, options.texts, options.windows, options.keep)
            made = ours.run(qopt, work, *how) if options.command == "ours" else peer.score(qopt, work, options.name, *how)
            for one in made:
                for where, said in one["evaluation"].items():
                    print(f"{one['row']} {model} seed {seed} {one['side']} {one['texts']} {where}: "
                          f"KL {said['kl_divergence']['value']:.5f}, {one['bits_per_weight']:.3f} bits", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (steps.Failed, unpack.Malformed, verify.Unfaithful, activations.Disagree) as failure:
        raise SystemExit(f"run.py: {failure}")
