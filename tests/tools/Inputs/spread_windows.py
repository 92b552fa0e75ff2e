"""argv: the JSON of `qopt eval` on all windows of a text, and on some that are spread over it: the same windows, evenly."""

import json
import sys

every, some = (json.load(open(path))["per_window"] for path in sys.argv[1:3])
protocol = json.load(open(sys.argv[2]))["protocol"]
assert protocol["spread"] and protocol["windows"] == len(some) < len(every), protocol
wanted = [every[index * len(every) // len(some)] for index in range(len(some))]
assert some == wanted, (some, wanted)
assert some != every[:len(some)], "the first windows"
