"""All results of one set of texts as a table in Markdown, and as JSON with what the table is made of."""

import json
from pathlib import Path
from typing import Any, Iterator

import numpy as np

from . import activations, intervals, steps
from .settings import OUR_SEEDS, PEER_SEEDS, ROWS, SEEDLESS, TEXTS, Row, Work


# Nats, of a window's reference loss between builds and programs: the same windows and model, or whole nats apart.
LOSS_TOLERANCE = activations.LOSS_TOLERANCE


def _records(work: Work, texts: str) -> list[dict[str, Any]]:
    return [record for path in sorted(work.results.glob(f"*-{texts}.json")) for record in [steps.read_json(path)]]


def comparisons(work: Work, texts: str, build: str) -> Iterator[dict[str, Any]]:
    """Each row, model and peer of which both sides have been measured, on each text. Ours are of `build`, or of builds that make
    the same."""
    records = _records(work, texts)
    for row in ROWS.values():
        for model in sorted({record["model"] for record in records if record["row"] == row.name}):
            def of(side: str) -> list[dict[str, Any]]:
                return sorted((record for record in records if (record["row"], record["model"], record["side"]) ==
                               (row.name, model, side)), key=lambda record: record["seed"])
            for peer in row.peers:
                left, right = of("ours"), of(peer)
                if left and right:
                    _check_builds(row, [record for record in records if (record["row"], record["side"]) == (row.name, "ours")], build)
                    for where in TEXTS[texts]:
                        yield _compare(row, model, peer, where, left, right)


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


def _compare(row: Row, model: str, peer: str, where: str, left: list[dict[str, Any]], right: list[dict[str, Any]]) -> dict[str, Any]:
    for what, found in (("one recipe", set(map(_versions, left))), (f"one version and script of {peer}", set(map(_versions, right))),
                        ("one model", {record["key"].get("run", record["key"])["model"] for record in left + right})):
        if len(found) != 1:
            raise steps.Failed(f"expected all results of {row.name} on {model} to be of {what}, but they are of {len(found)}\n"
                               f"next: run.py ours and run.py score {peer} for all seeds")
    windows = {tuple(sorted(record["evaluation"][where]["protocol"].items())) for record in left + right}
    digests = {record["key"]["evaluation"]["texts"][where] for record in left + right}
    if len(windows) != 1 or len(digests) != 1:
        raise steps.Failed(f"expected all results of {row.name} on {model}, {where}, to be on the same windows of the same text, but "
                           f"they are not\nnext: run ours and score again with the same --windows")
    losses = np.array([record["evaluation"][where]["window_reference_loss"] for record in left + right])
    if (apart := np.ptp(losses, axis=0).max()) > LOSS_TOLERANCE:
        raise steps.Failed(f"expected all results of {row.name} on {model}, {where}, to be measured against one reference, but its loss "
                           f"on a window differs by {apart:.2g} nats\nnext: run ours and score again")
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

    return {"row": row.name, "title": row.title, "model": model, "peer": peer, "text": where, "ours": summary(left),
            "theirs": summary(right), "ratio": value, "low": low, "high": high, "bound": row.bound,
            "holds": None if row.bound is None else high < row.bound}


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
        wanted = 1 if one["peer"] in SEEDLESS else len(PEER_SEEDS)
        if one["holds"] and (len(left["seeds"]) < len(OUR_SEEDS) or len(right["seeds"]) < wanted):
            verdict = "holds, of too few seeds"  # which is no claim
        lines.append(f"| {one['title']} | {one['model']} | {one['peer']} | {one['text']} | {left['bits_per_weight']:.3f} / "
                     f"{right['bits_per_weight']:.3f} | {left['kl']:.4f} | {right['kl']:.4f} | {one['ratio']:.3f} [{one['low']:.3f}, "
                     f"{one['high']:.3f}] | {'' if one['bound'] is None else '< ' + format(one['bound'], 'g')} | {verdict} | "
                     f"{len(left['seeds'])} / {len(right['seeds'])} | {left['seconds']:.0f} / {right['seconds']:.0f}{mark} | "
                     f"{left['peak_mib']:.0f} / {right['peak_mib']:.0f} |")
    if noisy:
        lines += ["", "\\* Others used the machine meanwhile: these seconds are not for publication, the divergences are."]
    absent = [f"- {row.title}: not both sides were measured{_alone(work, texts, row)}" for row in ROWS.values()
              if not any(one["row"] == row.name for one in made)]
    return "\n".join(lines + (["", "Not in the table:"] + absent if absent else []))


def _alone(work: Work, texts: str, row: Row) -> str:
    """What has been measured of a row of which one side is missing."""
    said = [f"{record['side']} on {record['model']}, seed {record['seed']}, {record['bits_per_weight']:.3f} bits: " + ", ".join(
        f"{where} {one['kl_divergence']['value']:.4f}" for where, one in record["evaluation"].items())
        for record in _records(work, texts) if record["row"] == row.name]
    return f" ({'; '.join(said)})" if said else ""


def write(work: Work, texts: str, build: str, output: Path) -> None:
    """The comparisons and every record that they are made of: settings, versions, costs, each window's divergence."""
    steps.write_json(output, {"format": 1, "texts": texts, "build": build, "comparisons": list(comparisons(work, texts, build)),
                              "records": _records(work, texts)})
