"""All results of one set of texts as a table in Markdown, and as JSON with what the table is made of."""

import json
from pathlib import Path
from typing import Any, Iterator

import numpy as np

from . import activations, intervals, ours, peer, steps
from .settings import MODELS, OUR_SEEDS, PEER_SEEDS, ROWS, SCORING, SEEDLESS, TEXTS, Row, Work


# Nats, of a window's reference loss between builds and programs: the same windows and model, or whole nats apart.
LOSS_TOLERANCE = activations.LOSS_TOLERANCE


def _records(work: Work, texts: str) -> list[dict[str, Any]]:
    return [record for path in sorted(work.results.glob(f"*-{texts}.json")) for record in [steps.read_json(path)]]


def stale(qopt: ours.Qopt, record: dict[str, Any]) -> list[str]:
    """What of a record's key is not what the sources say now: its row, recipe, settings, scripts, versions or scoring."""
    row = ROWS.get(record["row"])
    if row is None or record["side"] not in ("ours", *row.peers):
        return ["row"]
    decided = ours.of_sources(qopt, row) if record["side"] == "ours" else peer.of_sources(record["side"], row)
    expected = decided | {"evaluation": {"scoring": SCORING}}
    differ = []
    for name, value in json.loads(json.dumps(expected)).items():
        found = record["key"].get(name)
        if name in ("run", "evaluation"):
            differ += [part for part in value if (found or {}).get(part) != value[part]]
        elif found != value:
            differ.append(name)
    return differ


def check_current(qopt: ours.Qopt, work: Work, texts: str) -> None:
    """Refuses records of other settings than those that stand in the sources."""
    found = [f"{path.name} ({', '.join(differ)})" for path in sorted(work.results.glob(f"*-{texts}.json"))
             if (differ := stale(qopt, steps.read_json(path)))]
    if found:
        raise steps.Failed("expected records of what the sources say now, but of another one are\n  " + "\n  ".join(found) +
                           "\nnext: run.py ours or fill, which make them again, or remove them")


def comparisons(work: Work, texts: str, build: str) -> Iterator[dict[str, Any]]:
    """Each row, model and peer of which both sides have been measured, on each text. Ours are of `build`, or of builds that make
    the same."""
    records = _records(work, texts)
    for row in ROWS.values():
        for model in sorted({record["model"] for record in records if record["row"] == row.name}):
            def of(side: str) -> list[dict[str, Any]]:
                return sorted((record for record in records if (record["row"], record["model"], record["side"]) ==
                               (row.name, model, side)), key=lambda record: record["seed"])
            for name in row.peers:
                left, right = of("ours"), of(name)
                if left and right:
                    _check_builds(row, [record for record in records if (record["row"], record["side"]) == (row.name, "ours")], build)
                    for where in TEXTS[texts]:
                        yield _compare(row, model, name, where, left, right)


def _check_builds(row: Row, ours: list[dict[str, Any]], build: str) -> None:
    """A record names the builds that have made what it says. Refuses records that are not of `build`, or of a build that another
    record connects with it."""
    connected, rest = {build}, [set(record["builds"]) for record in ours]
    while reached := [builds for builds in rest if builds & connected]:
        connected = connected.union(*reached)
        rest = [builds for builds in rest if not builds & connected]
    if rest:
        raise steps.Failed(f"expected all results of ours for {row.name} to be of this build of qopt, or of builds that make the same, "
                           f"but {len(rest)} are not\nnext: run.py confirm --rows {row.name} --models … --seeds 0, and where it makes "
                           "something else, run.py ours after removing the records")


def _versions(record: dict[str, Any]) -> str:
    """What a peer's record was made by, or ours by which recipe."""
    run = record["key"].get("run", {"recipe": record["key"].get("recipe")})
    return json.dumps({name: value for name, value in run.items() if name not in ("seed", "tokens", "model")}, sort_keys=True)


def _compare(row: Row, model: str, name: str, where: str, left: list[dict[str, Any]], right: list[dict[str, Any]]) -> dict[str, Any]:
    for what, found in (("one recipe", set(map(_versions, left))), (f"one version and script of {name}", set(map(_versions, right))),
                        ("one model", {record["key"].get("run", record["key"])["model"] for record in left + right})):
        if len(found) != 1:
            raise steps.Failed(f"expected all results of {row.name} on {model} to be of {what}, but they are of {len(found)}\n"
                               f"next: run.py ours and run.py score {name} for all seeds")
    windows = {tuple(sorted(record["evaluation"][where]["protocol"].items())) for record in left + right}
    digests = {record["key"]["evaluation"]["texts"][where] for record in left + right}
    if len(windows) != 1 or len(digests) != 1:
        raise steps.Failed(f"expected all results of {row.name} on {model}, {where}, to be on the same windows of the same text, but "
                           f"they are not\nnext: run ours and score again with the same --windows")
    losses = np.array([record["evaluation"][where]["window_reference_loss"] for record in left + right])
    if (apart := np.ptp(losses, axis=0).max()) > LOSS_TOLERANCE:
        raise steps.Failed(f"expected all results of {row.name} on {model}, {where}, to be measured against one reference, but its loss "
                           f"on a window differs by {apart:.2g} nats\nnext: run ours and score again")
    _check_tokens(row, model, name, left, right)
    value, low, high = intervals.ratio([record["evaluation"][where]["window_kl"] for record in left],
                                       [record["evaluation"][where]["window_kl"] for record in right])

    def mean(side: list[dict[str, Any]], read: Any) -> float:
        return sum(read(record) for record in side) / len(side)

    def summary(side: list[dict[str, Any]]) -> dict[str, Any]:
        return {"seeds": [record["seed"] for record in side],
                "kl": mean(side, lambda r: r["evaluation"][where]["kl_divergence"]["value"]),
                "bits_per_weight": mean(side, lambda r: r["bits_per_weight"]),
                "seconds": mean(side, lambda r: r["cost"]["seconds"]),
                "peak_mib": max(r["cost"]["peak_kib"] for r in side) / 1024, "noisy": any(r["cost"]["noisy"] for r in side),
                "perplexity": mean(side, lambda r: r["evaluation"][where]["perplexity"]["value"]),
                "top1_agreement": mean(side, lambda r: r["evaluation"][where]["top1_agreement"]["value"])}

    wanted = 1 if name in SEEDLESS else len(PEER_SEEDS)
    return {"row": row.name, "title": row.title, "model": model, "peer": name, "text": where, "ours": summary(left),
            "theirs": summary(right), "ratio": value, "low": low, "high": high, "bound": row.bound,
            "enough_seeds": len(left) >= len(OUR_SEEDS) and len(right) >= wanted,
            "holds": None if row.bound is None else high < row.bound, "time": _time(row, left, right)}


def _check_tokens(row: Row, model: str, name: str, left: list[dict[str, Any]], right: list[dict[str, Any]]) -> None:
    """A seed is the same calibration windows on both sides."""
    if name in SEEDLESS:
        return
    taken = {record["seed"]: record["key"]["run"]["tokens"] for record in right}
    if apart := [record["seed"] for record in left if record["tokens"] != taken.get(record["seed"], record["tokens"])]:
        raise steps.Failed(f"expected ours and {name} of {row.name} on {model} to have calibrated on the same windows, but they have not, "
                           f"with seed {', '.join(map(str, apart))}\nnext: run.py fill and ours with one set of texts")


def _time(row: Row, left: list[dict[str, Any]], right: list[dict[str, Any]]) -> dict[str, Any]:
    """Our seconds over theirs, of the runs that nobody else disturbed, both on as many CPUs: else there is none."""
    quiet = [[record for record in side if not record["cost"]["noisy"]] for side in (left, right)]
    cpus = {record["cost"]["cpus"] for record in quiet[0]} | {record["peer"]["cpus"] for record in quiet[1]}
    if not all(quiet) or len(cpus) != 1:
        return {"ratio": None, "bound": row.time_bound, "holds": None}
    mean = [sum(record["cost"]["seconds"] for record in side) / len(side) for side in quiet]
    ratio = mean[0] / mean[1]
    return {"ratio": ratio, "bound": row.time_bound, "holds": None if row.time_bound is None else ratio < row.time_bound}


def markdown(work: Work, texts: str, build: str) -> str:
    made = list(comparisons(work, texts, build))
    lines = [f"KL divergence from the unquantized model in nats per token, {texts} texts; the ratio's 95% interval by bootstrap over "
             "windows (paired) and seeds.", "",
             "| row | model | peer | text | bits ours / theirs | KL ours | theirs | ratio | bound | | seeds | seconds ours / theirs "
             "| peak MiB ours / theirs |", "|---|---|---|---|---|---|---|---|---|---|---|---|---|"]
    noisy = False
    for one in made:
        left, right = one["ours"], one["theirs"]
        mark = ["", "*"][left["noisy"] or right["noisy"]]
        noisy |= bool(mark)
        verdict = {True: "holds", False: "**does not hold**", None: "reported"}[one["holds"]]
        if one["holds"] and not one["enough_seeds"]:
            verdict = "holds, of too few seeds"  # which is no claim
        lines.append(f"| {one['title']} | {one['model']} | {one['peer']} | {one['text']} | {left['bits_per_weight']:.3f} / "
                     f"{right['bits_per_weight']:.3f} | {left['kl']:.4f} | {right['kl']:.4f} | {one['ratio']:.3f} [{one['low']:.3f}, "
                     f"{one['high']:.3f}] | {'' if one['bound'] is None else '< ' + format(one['bound'], 'g')} | {verdict} | "
                     f"{len(left['seeds'])} / {len(right['seeds'])} | {left['seconds']:.0f} / {right['seconds']:.0f}{mark} | "
                     f"{left['peak_mib']:.0f} / {right['peak_mib']:.0f} |")
    if noisy:
        lines += ["", "\\* Others used the machine meanwhile: these seconds are not for publication, the divergences are."]
    timed = {(one["row"], one["model"], one["peer"]): one["time"] for one in made if one["time"]["bound"] is not None}
    for (row, model, name), time in timed.items():
        verdict = {True: "holds", False: "**does not hold**", None: "not measured: both sides on as many CPUs, undisturbed"}[time["holds"]]
        said = "" if time["ratio"] is None else f"{time['ratio']:.3f}, "
        lines += ["", f"Our seconds over {name}'s, {row} on {model}: {said}bound {time['bound']:g}: {verdict}."]
    compared = {(one["row"], one["model"], one["peer"]) for one in made}
    absent = [f"- {row.title}, {model}, {name}: not both sides were measured{_alone(work, texts, row, model, name)}"
              for row in ROWS.values() for model in MODELS for name in row.peers if (row.name, model, name) not in compared]
    return "\n".join(lines + (["", "Not in the table:"] + absent if absent else []))


def _alone(work: Work, texts: str, row: Row, model: str, name: str) -> str:
    """What has been measured of a comparison of which one side is missing."""
    said = [f"{record['side']}, seed {record['seed']}, {record['bits_per_weight']:.3f} bits: " + ", ".join(
        f"{where} {one['kl_divergence']['value']:.4f}" for where, one in record["evaluation"].items())
        for record in _records(work, texts) if (record["row"], record["model"]) == (row.name, model) and record["side"] in ("ours", name)]
    return f" ({'; '.join(said)})" if said else ""


def write(work: Work, texts: str, build: str, output: Path) -> None:
    """The comparisons and every record that they are made of: settings, versions, costs, each window's divergence."""
    steps.write_json(output, {"format": 1, "texts": texts, "build": build, "comparisons": list(comparisons(work, texts, build)),
                              "records": _records(work, texts)})
