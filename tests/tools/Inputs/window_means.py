"""window_means.py JSON: the windows of `qopt eval --json` are as many as it says, are not all alike, and make its figures."""
import json
import math
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    said = json.load(file)
windows = said["per_window"]
assert len(windows) == said["protocol"]["windows"], len(windows)
mean = {key: sum(window[key] for window in windows) / len(windows) for key in windows[0]}
for key, expected in [("loss", math.log(said["perplexity"]["value"])),
                      ("reference_loss", math.log(said["reference_perplexity"]["value"])),
                      ("kl_divergence", said["kl_divergence"]["value"]), ("top1_agreement", said["top1_agreement"]["value"])]:
    assert math.isclose(mean[key], expected, rel_tol=1e-9), (key, mean[key], expected)
assert len({window["loss"] for window in windows}) > 1, "all windows have one loss"
