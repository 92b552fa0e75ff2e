#!/usr/bin/env python3
"""Perplexity and KL divergence by Hugging Face transformers, apart from everything of ours: what `qopt eval` must agree with.

    transformers_eval.py MODEL REFERENCE --text FILE [--window 512] [--windows 4] [--eval JSON [--digits 3]]

MODEL and REFERENCE are directories with config.json, such as `qopt export --to hf` writes. The text is encoded without
special tokens added, and cut into windows that do not overlap; a window of 512 gives 511 predictions. KL is
KL(REFERENCE || MODEL) in nats, softmax in f64, averaged over predictions. Forward passes are f32 on the CPU.

`--eval` names what `qopt eval COMPILED --text FILE --against REFERENCE --json` printed: exit code 1 if perplexities or KL
differ from it by more than half a unit of the `--digits`-th digit. Needs transformers 5 and torch; 77: they are missing.
"""
import argparse
import json
import math
import pathlib
import sys

try:
    import torch
    import transformers
except ImportError as error:
    print(f"SKIP: {error}")
    sys.exit(77)


def load(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                                             local_files_only=True).eval()


def measure(model, reference, windows):
    """Perplexities of model and reference, KL, and how often the most likely token is the same."""
    loss = reference_loss = divergence = same = count = 0.0
    for window in windows:
        targets = window[1:, None]
        with torch.inference_mode():
            ours, theirs = (torch.log_softmax(m(window[None], use_cache=False).logits[0, :-1].double(), -1)
                            for m in (model, reference))
        loss -= ours.gather(1, targets).sum().item()
        reference_loss -= theirs.gather(1, targets).sum().item()
        divergence += (theirs.exp() * (theirs - ours)).sum().item()
        same += (ours.argmax(-1) == theirs.argmax(-1)).sum().item()
        count += len(targets)
    return {"perplexity": math.exp(loss / count), "reference_perplexity": math.exp(reference_loss / count),
            "kl": divergence / count, "agreement": same / count, "predictions": int(count)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("reference")
    parser.add_argument("--text", required=True)
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--eval", help="JSON of qopt eval to compare with")
    parser.add_argument("--digits", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.reference, local_files_only=True)
    text = pathlib.Path(arguments.text).read_bytes().decode("utf-8")
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    windows = torch.tensor(ids[:len(ids) // arguments.window * arguments.window]).reshape(-1, arguments.window)
    got = measure(load(arguments.model), load(arguments.reference), windows[:arguments.windows])
    print(json.dumps(got, indent=2))
    if not arguments.eval:
        return 0
    said = json.loads(pathlib.Path(arguments.eval).read_text(encoding="utf-8"))
    distances = []
    for ours, theirs in EVAL_KEYS.items():
        value = said
        for key in theirs.split("."):
            value = value[key]
        distance = abs(value - got[ours]) / abs(got[ours])
        distances.append(distance)
        print(f"{ours}: transformers {got[ours]:.6g}, qopt eval {value:.6g}, relative difference {distance:.2g}")
    limit = 0.5 * 10 ** (1 - arguments.digits)
    return 0 if all(distance <= limit for distance in distances) else 1


# Where the JSON of `qopt eval` (docs/schemas/eval.json) has what measure() returns.
EVAL_KEYS = {"perplexity": "perplexity.value", "reference_perplexity": "reference_perplexity.value",
             "kl": "kl_divergence.value", "agreement": "top1_agreement.value"}


if __name__ == "__main__":
    sys.exit(main())
