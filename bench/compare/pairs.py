"""Two sides measured in turn, the probe before and after each."""

import statistics
import sys

from .processes import Foreign, run

# name, unit, whether more is better
METRICS = {
    "decode": ("tok/s", True),
    "prefill": ("tok/s", True),
    "first_token": ("s", False),
    "peak_memory": ("MiB", False),
}


def measure(driver, model, threads, options):
    """One side, once: two processes, one timed from its start to its first token, one that is loaded and then timed."""
    common = ["--threads", threads, "--context", options.context]
    first = run([driver, "first-token", model, *common, "--prompt", options.prompt])
    said = first.json()
    timed = run([driver, "run", model, *common, "--prompt-tokens", options.prompt_tokens,
                 "--generate", options.generate]).json()
    return {
        "first_token": said["monotonic_s"] - first.started,
        "first_token_id": said["token"],
        "first_token_prompt": said["prompt_tokens"],
        "decode": timed["decode_tok_s"][0],
        "prefill": timed["prefill_tok_s"][0],
        "peak_memory": timed["peak_kib"] / 1024,
    }


def alternate(probe, ours, peer, threads, options):
    """`options.pairs` pairs of (driver, model), who goes first changing from pair to pair. A pair during which others
    used more of the machine than `options.foreign` CPUs is measured again."""
    pairs, thrown_away = [], 0
    before = run([probe, threads]).json()
    while len(pairs) < options.pairs:
        watch = Foreign()
        sides = [("ours", ours), ("peer", peer)]
        if len(pairs) % 2:
            sides.reverse()
        pair = {}
        for name, (driver, model) in sides:
            pair[name] = measure(driver, model, threads, options)
            after = run([probe, threads]).json()
            pair[name]["probe"] = {key: {count: (before[key][count] + after[key][count]) / 2 for count in after[key]}
                                   for key in after}
            before = after
        pair["foreign_cpus"] = watch.cpus()
        if pair["foreign_cpus"] > options.foreign and not options.noisy:
            thrown_away += 1
            print(f"  others used {pair['foreign_cpus']:.2f} CPUs: this pair is measured again", file=sys.stderr)
            if thrown_away > 2 * options.pairs:
                raise SystemExit("the machine is not quiet enough to measure on; nothing was written")
            continue
        pairs.append(pair)
    return {"pairs": pairs, "thrown_away": thrown_away}


def summary(pairs):
    """Medians of both sides, and the median, least and greatest of their ratio, pair by pair."""
    result = {}
    for metric in METRICS:
        ours, peer = [[pair[side][metric] for pair in pairs] for side in ("ours", "peer")]
        ratios = [a / b for a, b in zip(ours, peer)]
        result[metric] = {
            "ours": statistics.median(ours), "peer": statistics.median(peer),
            "ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios),
        }
    return result


def fraction_of_probe(pairs, side, metric, field, threads, amount):
    """Median over pairs of (amount per token x tokens per second) over what the probe beside it reached."""
    return statistics.median(
        pair[side][metric] * amount * 1e-9 / pair[side]["probe"][field][str(threads)]
        for pair in pairs) if all(field in pair[side]["probe"] for pair in pairs) else None
