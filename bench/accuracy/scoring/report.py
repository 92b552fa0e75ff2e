"""All results of one set of texts as a table in Markdown, and as JSON with what the table is made of."""

import json
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence

import numpy as np

from texts import TEXTS as SOURCES

from . import activations, intervals, ours, peer, steps
from .settings import CALIBRATION, LENGTH, MODELS, OUR_SEEDS, PEER_SEEDS, ROWS, SAMPLES, SCORING, SEEDLESS, TEXTS, WINDOWS, Row, Work


# Nats, of a window's reference loss between builds and programs: the same windows and model, or whole nats apart.
LOSS_TOLERANCE = activations.LOSS_TOLERANCE


def _records(work: Work, texts: str) -> list[dict[str, Any]]:
    return [record for path in sorted(work.results.glob(f"*-{texts}.json")) for record in [steps.read_json(path)]]


def _expected(qopt: ours.Qopt, record: dict[str, Any], row: Row) -> dict[str, Any]:
    """What a record's key says where it is of what the sources say now. What calibration takes is said by ours, and a peer's tokens
    are held against those of ours."""
    known = {text.name: text.sha256 for text in SOURCES}
    evaluation = {"scoring": SCORING, "texts": {where: known[name] for where, name in TEXTS[record["texts"]].items()}}
    if record["side"] == "ours":
        calibration = {"texts": [known[name] for name in CALIBRATION], "samples": SAMPLES, "length": LENGTH, "seed": record["seed"]}
        return {**ours.of_sources(qopt, row), **calibration, "row": row.name, "evaluation": evaluation}
    decided = peer.of_sources(record["side"], row)
    return {**decided, "run": decided["run"] | {"row": row.name, "seed": record["seed"]}, "evaluation": evaluation}


def stale(qopt: ours.Qopt, record: dict[str, Any]) -> list[str]:
    """What of a record is not what the sources say now: its row, recipe, settings, scripts, versions, texts, samples or scoring; or a
    seed that is not the one it is filed under."""
    row = ROWS.get(record["row"])
    if row is None or record["side"] not in ("ours", *row.peers):
        return ["row"]
    differ = []
    for name, value in json.loads(json.dumps(_expected(qopt, record, row))).items():
        found = record["key"].get(name)
        if name in ("run", "evaluation"):
            differ += [part for part in value if (found or {}).get(part) != value[part]]
        elif found != value:
            differ.append(name)
    if record.get("measured_with", activations.script()) != activations.script():  # records that are older do not say it
        differ.append("activations.py")
    return differ


def check_current(qopt: ours.Qopt, work: Work, texts: str) -> None:
    """Refuses records of other settings than those that stand in the sources, or under another name than their own."""
    records = {path: steps.read_json(path) for path in sorted(work.results.glob(f"*-{texts}.json"))}
    found = {path: stale(qopt, record) for path, record in records.items()}
    for path, record in records.items():
        if path != work.result(*(record[name] for name in ("side", "row", "model", "seed", "texts"))):
            found[path].append("name")
    if said := [f"{path.name} ({', '.join(differ)})" for path, differ in found.items() if differ]:
        raise steps.Failed("expected records of what the sources say now, but of another one are\n  " + "\n  ".join(said) +
                           f"\nnext: run.py ours or fill --texts {texts}, which make them again, or remove them")


def _tokens(record: dict[str, Any]) -> str:
    """The digest of the windows that were calibrated on."""
    return record["tokens"] if record["side"] == "ours" else record["key"]["run"]["tokens"]


def _check_calibration(records: list[dict[str, Any]], texts: str) -> None:
    """A seed is the same calibration windows for everybody who takes any."""
    windows: dict[int, dict[str, list[str]]] = {}
    for record in records:
        if record["side"] not in SEEDLESS:
            name = f"{record['side']} {record['row']} {record['model']}"
            windows.setdefault(record["seed"], {}).setdefault(_tokens(record), []).append(name)
    for seed, groups in windows.items():
        if len(groups) > 1:
            few = min(groups.values(), key=len)
            raise steps.Failed(f"expected all results with seed {seed} to have calibrated on the same windows, but on others than the rest "
                               f"have\n  " + "\n  ".join(few) + f"\nnext: run.py fill and ours --texts {texts}, after removing these records")


def comparisons(work: Work, texts: str, build: str) -> Iterator[dict[str, Any]]:
    """Each row, model and peer of which both sides have been measured, on each text. Ours are of `build`, or of builds that make
    the same."""
    records = _records(work, texts)
    _check_calibration(records, texts)
    for row in ROWS.values():
        for model in sorted({record["model"] for record in records if record["row"] == row.name}):
            def of(side: str) -> list[dict[str, Any]]:
                return sorted((record for record in records if (record["row"], record["model"], record["side"]) ==
                               (row.name, model, side)), key=lambda record: record["seed"])
            for name in row.peers:
                left, right = of("ours"), of(name)
                if left and right:
                    _check_builds(row, [record for record in records if (record["row"], record["side"]) == (row.name, "ours")], build, texts)
                    for where in TEXTS[texts]:
                        yield _compare(row, model, name, where, left, right)


def _check_builds(row: Row, ours: list[dict[str, Any]], build: str, texts: str) -> None:
    """A record names the builds that have made what it says. Refuses records that are not of `build`, or of a build that another
    record connects with it."""
    connected, rest = {build}, [set(record["builds"]) for record in ours]
    while reached := [builds for builds in rest if builds & connected]:
        connected = connected.union(*reached)
        rest = [builds for builds in rest if not builds & connected]
    if rest:
        raise steps.Failed(f"expected all results of ours for {row.name} to be of this build of qopt, or of builds that make the same, "
                           f"but {len(rest)} are not\nnext: run.py confirm --rows {row.name} --models … --seeds 0 --texts {texts}, and where "
                           f"it makes something else, run.py ours --texts {texts} after removing the records")


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
    for record in left + right:
        counted = len(record["evaluation"][where]["window_kl"])
        if counted != (said := record["evaluation"][where]["protocol"]["windows"]):
            raise steps.Failed(f"expected {said} windows of {record['side']}, {row.name} on {model}, {where}, seed {record['seed']}, as it says, "
                               f"but got {counted}\nnext: remove its record, and run ours or score again")
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

    mine, theirs = summary(left), summary(right)
    more_bits = mine["bits_per_weight"] > theirs["bits_per_weight"] + row.spare_bits
    protocol = left[0]["evaluation"][where]["protocol"]
    return {"row": row.name, "title": row.title, "model": model, "peer": name, "text": where, "ours": mine, "theirs": theirs,
            "ratio": value, "low": low, "high": high, "bound": row.bound, "windows": protocol["windows"], "window": protocol["window"],
            "lacking": _lacking(name, left, right, protocol["windows"]), "more_bits": more_bits,
            "holds": None if row.bound is None else high < row.bound and not more_bits, "time": _time(row, left, right)}


def _lacking(name: str, left: list[dict[str, Any]], right: list[dict[str, Any]], windows: int) -> list[str]:
    """What a comparison has too little of to claim anything."""
    wanted = {"ours": (left, OUR_SEEDS), name: (right, (0,) if name in SEEDLESS else PEER_SEEDS)}
    lacking = []
    for side, (records, seeds) in wanted.items():
        if absent := sorted(set(seeds) - {record["seed"] for record in records}):
            lacking.append(f"seed{'s' * (len(absent) > 1)} {', '.join(map(str, absent))} of {side}")
    return lacking + ([f"windows: {windows} of {WINDOWS}"] if windows < WINDOWS else [])


def _time(row: Row, left: list[dict[str, Any]], right: list[dict[str, Any]]) -> dict[str, Any]:
    """Our seconds over theirs, of the seeds with which both sides ran on as many CPUs and nobody disturbed them.

    A pair is made in one go (README.md); what runs hours apart take differs by more than what is to be told."""
    def quiet(side: list[dict[str, Any]], cpus: Callable[[dict[str, Any]], int]) -> dict[tuple[int, int], float]:
        return {(record["seed"], cpus(record)): record["cost"]["seconds"] for record in side if not record["cost"]["noisy"]}

    ours, theirs = quiet(left, lambda record: record["cost"]["cpus"]), quiet(right, lambda record: record["peer"]["cpus"])
    pairs = [(ours[of], theirs[of]) for of in ours if of in theirs]
    if not pairs:
        return {"ratio": None, "bound": row.time_bound, "holds": None, "pairs": 0}
    ratio = sum(pair[0] for pair in pairs) / sum(pair[1] for pair in pairs)
    holds = None if row.time_bound is None else ratio < row.time_bound
    return {"ratio": ratio, "bound": row.time_bound, "holds": holds, "pairs": len(pairs)}


def missing(work: Work, texts: str, made: Sequence[dict[str, Any]]) -> list[str]:
    """What the comparisons that were `made` lack of all that is to be compared, a line each: sides, seeds, windows, times."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for one in made:
        lacking = found.setdefault((one["row"], one["model"], one["peer"]), {})  # said once for both texts
        lacking |= dict.fromkeys(one["lacking"])
        if one["time"]["bound"] is not None and one["time"]["ratio"] is None:
            lacking["undisturbed seconds of both sides with one seed on as many CPUs"] = None
    said = []
    for row in ROWS.values():
        for model in MODELS:
            for name in row.peers:
                of = found.get((row.name, model, name))
                if of is None:
                    said.append(f"{row.title}, {model}, {name}: not both sides were measured{_alone(work, texts, row, model, name)}")
                elif of:
                    said.append(f"{row.title}, {model}, {name}: {'; '.join(of)}")
    return said


def _verdict(one: dict[str, Any]) -> str:
    if one["holds"] is None:
        return "reported"
    if not one["holds"]:
        return "**does not hold**" + (", of more bits" if one["more_bits"] else "")
    return "holds, of too few seeds or windows" if one["lacking"] else "holds"  # the former is no claim


def markdown(work: Work, texts: str, made: Sequence[dict[str, Any]]) -> str:
    """The table, the bounds on time, and what is missing."""
    lines = [f"KL divergence from the unquantized model in nats per token, {texts} texts; the ratio's 95% interval by bootstrap over "
             "windows (paired) and seeds.", "",
             "| row | model | peer | text, windows | bits ours / theirs | KL ours | theirs | ratio | bound | | seeds | seconds ours / theirs "
             "| peak MiB ours / theirs |", "|---|---|---|---|---|---|---|---|---|---|---|---|---|"]
    noisy = False
    for one in made:
        left, right = one["ours"], one["theirs"]
        mark = ["", "*"][left["noisy"] or right["noisy"]]
        noisy |= bool(mark)
        lines.append(f"| {one['title']} | {one['model']} | {one['peer']} | {one['text']}, {one['windows']} of {one['window']} | "
                     f"{left['bits_per_weight']:.3f} / {right['bits_per_weight']:.3f} | {left['kl']:.4f} | {right['kl']:.4f} | "
                     f"{one['ratio']:.3f} [{one['low']:.3f}, "
                     f"{one['high']:.3f}] | {'' if one['bound'] is None else '< ' + format(one['bound'], 'g')} | {_verdict(one)} | "
                     f"{len(left['seeds'])} / {len(right['seeds'])} | {left['seconds']:.0f} / {right['seconds']:.0f}{mark} | "
                     f"{left['peak_mib']:.0f} / {right['peak_mib']:.0f} |")
    if noisy:
        lines += ["", "\\* Others used the machine meanwhile: these seconds are not for publication, the divergences are."]
    timed = {(one["row"], one["model"], one["peer"]): one["time"] for one in made if one["time"]["bound"] is not None}
    for (row, model, name), time in timed.items():
        verdict = {True: "holds", False: "**does not hold**", None: "not measured: both sides with one seed, on as many CPUs, undisturbed"}[time["holds"]]
        said = "" if time["ratio"] is None else f"{time['ratio']:.3f} ({time['pairs']} pair{'s' * (time['pairs'] > 1)}), "
        lines += ["", f"Our seconds over {name}'s, {row} on {model}: {said}bound {time['bound']:g}: {verdict}."]
    unnamed = [f"{record['side']} {record['row']} {record['model']} seed {record['seed']}" for record in _records(work, texts)
               if record["side"] != "ours" and ROWS[record["row"]].activations and "measured_with" not in record]
    if unnamed:
        lines += ["", f"By which activations.py they were measured the records of {', '.join(unnamed)} do not say: they are older than that."]
    if absent := missing(work, texts, made):
        lines += ["", "Missing, so that the whole is not claimed:", *(f"- {line}" for line in absent)]
    return "\n".join(lines)


def one_seed(work: Work, texts: str, seed: int) -> str:
    """One seed of each side, on each model: what there is before a report can be. No intervals, no bounds."""
    records = {(record["row"], record["model"], record["side"]): record for record in _records(work, texts) if record["seed"] == seed}
    builds = sorted({build for record in records.values() for build in record.get("builds", ())})

    def of(record: dict[str, Any] | None) -> list[float]:
        return [] if record is None else [one["kl_divergence"]["value"] for one in record["evaluation"].values()]

    def said(values: list[float], digits: int, absent: str = "not run") -> str:
        return " / ".join(f"{value:.{digits}f}" for value in values) or absent

    lines = ["| row | peer | bits theirs / ours |" + "".join(f" {model}: KL | ours | ratio |" for model in MODELS),
             "|---|---|---|" + "---|---|---|" * len(MODELS)]
    for row in ROWS.values():
        for name in row.peers:
            cells, bits = [], {}
            for model in MODELS:
                theirs, mine = records.get((row.name, model, name)), records.get((row.name, model, "ours"))
                cells += [said(of(theirs), 4), said(of(mine), 4), said([left / right for left, right in zip(of(mine), of(theirs))], 2, "")]
                bits |= {side: f"{record['bits_per_weight']:.2f}" for side, record in ((0, theirs), (1, mine)) if record}
            lines.append(f"| `{row.name}` | {name} | {bits.get(0, '')} / {bits.get(1, '')} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Seed {seed}, {texts} texts, near / far; ours of the builds {', '.join(builds)}."])


def _alone(work: Work, texts: str, row: Row, model: str, name: str) -> str:
    """What has been measured of a comparison of which one side is missing."""
    said = [f"{record['side']}, seed {record['seed']}, {record['bits_per_weight']:.3f} bits: " + ", ".join(
        f"{where} {one['kl_divergence']['value']:.4f}" for where, one in record["evaluation"].items())
        for record in _records(work, texts) if (record["row"], record["model"]) == (row.name, model) and record["side"] in ("ours", name)]
    return f" ({'; '.join(said)})" if said else ""


def write(work: Work, texts: str, build: str, made: Sequence[dict[str, Any]], output: Path) -> None:
    """The comparisons and every record that they are made of: settings, versions, costs, each window's divergence."""
    steps.write_json(output, {"format": 1, "texts": texts, "build": build, "comparisons": made, "missing": missing(work, texts, made),
                              "records": _records(work, texts)})
