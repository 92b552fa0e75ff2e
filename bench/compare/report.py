"""A result as Markdown, and whether the floor holds."""

from .pairs import METRICS

# What must hold at one thread against the peer at equal bits: (ratio, whether it is a least or a most).
FLOOR_SCHEMES = ("w4a8g32:g32", "w4a8:g32")
FLOOR = {"decode": (0.6, "least"), "prefill": (0.4, "least"), "first_token": (0.5, "most"), "peak_memory": (1.0, "most")}
FLOOR_COMPILE_SECONDS = 20


def _number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _share(value):
    return "" if value is None else f"{100 * value:.0f}%"


def _holds(metric, ratio):
    limit, kind = FLOOR[metric]
    return ratio >= limit if kind == "least" else ratio <= limit


def floor_rows(result):
    """(what, limit, reached, holds) of each part of the floor that this run measured."""
    rows = []
    for comparison in result["comparisons"]:
        if comparison["threads"] == 1 and comparison["scheme"] in FLOOR_SCHEMES:
            for metric, (limit, kind) in FLOOR.items():
                ratio = comparison["summary"][metric]["ratio"]
                rows.append((f"{comparison['scheme']} {metric}", f"at {kind} {limit}", f"{ratio:.2f}", _holds(metric, ratio)))
    for scheme, row in result["compile"].items():
        rows.append((f"{scheme} compile", f"at most {FLOOR_COMPILE_SECONDS} s", f"{row['seconds']:.1f} s",
                     row["seconds"] <= FLOOR_COMPILE_SECONDS))
    return rows


def floor_holds(result):
    return all(row[3] for row in floor_rows(result))


def markdown(result):
    machine, settings = result["machine"], result["settings"]
    lines = [
        f"{result['date']}, {machine['cpu']}, {machine['cpus']} CPUs, Linux {machine['kernel']}; "
        f"qopt {result['qopt']['version']} ({result['qopt']['commit']}) against {result['peer']['name']} "
        f"(llama.cpp {result['peer']['llama_cpp']}; {result['peer']['compiler']}).",
        f"Peer's processor features: {result['peer']['system_info'].strip()}",
        f"Prompt {settings['prompt_tokens']}, {settings['generate']} decode steps, cache for {settings['context']} tokens, "
        f"{settings['pairs']} pairs. Load average {result['load_average_before']:.2f} before.",
    ]
    if result["noisy"]:
        lines.append("**Others used the machine: these figures are not for publication.**")
    for metric, (unit, more) in METRICS.items():
        share = {"decode": "of read", "prefill": "of peak"}.get(metric)
        lines += ["", f"### {metric.replace('_', ' ')}, {unit} ({'more' if more else 'less'} is better)", "",
                  "| scheme | bits body / head | peer | bits | threads | ours | peer | ratio | least to greatest |"
                  + (f" ours {share} | peer {share} |" if share else ""),
                  "|---|---|---|---|---|---|---|---|---|" + ("---|---|" if share else "")]
        for one in result["comparisons"]:
            row, bits = one["summary"][metric], one["bits"]
            text = (f"| {one['scheme']} | {bits['ours']['body']:.2f} / {bits['ours']['head']:.2f} | {one['peer']} "
                    f"| {bits['peer']['body']:.2f} / {bits['peer']['head']:.2f} | {one['threads']} | {_number(row['ours'])} "
                    f"| {_number(row['peer'])} | {row['ratio']:.2f} | {row['ratio_min']:.2f} to {row['ratio_max']:.2f} |")
            if share:
                key = "decode_of_read" if metric == "decode" else "prefill_of_peak"
                text += f" {_share(one['fractions']['ours'][key])} | {_share(one['fractions']['peer'][key])} |"
            lines.append(text)
    lines += ["", "### probe beside them (medians over all pairs)", "", "| limit | threads | reached |", "|---|---|---|"]
    seen = {}
    for one in result["comparisons"]:
        for pair in one["pairs"]:
            for side in ("ours", "peer"):
                for field, values in pair[side]["probe"].items():
                    for count, value in values.items():
                        seen.setdefault((field, int(count)), []).append(value)
    for (field, count), values in sorted(seen.items()):
        values.sort()
        lines.append(f"| {field} | {count} | {_number(values[len(values) // 2])} ({_number(values[0])} to {_number(values[-1])}) |")
    lines += ["", "### quantizing and compiling", "",
              "| | quantize s | MB/s of source | MB/s of f32 | peak MiB | compile s | peak MiB | artifact MB |",
              "|---|---|---|---|---|---|---|---|"]
    for name, row in result["quantize"].items():
        compiled = result["compile"].get(name)
        text = (f"| {name if compiled else 'peer ' + name} | {row['seconds']:.2f} | {row['source_mb_s']:.0f} "
                f"| {row['f32_mb_s']:.0f} | {row['peak_mib']:.0f} |")
        text += (f" {compiled['seconds']:.2f} | {compiled['peak_mib']:.0f} | {compiled['artifact_bytes'] * 1e-6:.1f} |"
                 if compiled else " | | |")
        lines.append(text)
    lines += ["", "### the floor", "", "| what | must be | is | |", "|---|---|---|---|"]
    lines += [f"| {what} | {limit} | {reached} | {'holds' if holds else '**does not hold**'} |"
              for what, limit, reached, holds in floor_rows(result)]
    return "\n".join(lines)
