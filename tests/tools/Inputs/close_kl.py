"""Compares the KL divergence of models with the first one's: close_kl.py PERCENT < lines of `qopt eval A B… --json`.

Fails unless every other is within so many percent of it.
"""
import json
import sys

first, *others = [json.loads(line)["kl_divergence"]["value"] for line in sys.stdin]
apart = [100 * abs(other / first - 1) for other in others]
print("KL", first, "apart by", ", ".join(f"{each:.3f}%" for each in apart))
sys.exit(not (apart and all(each <= float(sys.argv[1]) for each in apart)))
