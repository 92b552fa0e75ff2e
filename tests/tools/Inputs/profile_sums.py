"""Whether the profile of `qopt bench --profile --json` adds up. Usage: profile_sums.py LAYERS < JSON"""
import json
import sys

layers, document = int(sys.argv[1]), json.load(sys.stdin)
forwards = {"prefill": document["repeat"], "decode": document["repeat"] * document["generate_tokens"]}
for phase, count in forwards.items():
    profile = document["profile"][phase]
    times = profile["dispatches"]
    seconds = [time["seconds"] for time in times]
    assert seconds == sorted(seconds, reverse=True), seconds
    # The rest is after the last barrier of each forward.
    assert 0 < sum(seconds) <= 1.000001 * profile["seconds"], (sum(seconds), profile["seconds"])
    assert abs(sum(time["share"] for time in times) * profile["seconds"] - sum(seconds)) < 1e-9
    for time in times:
        expected = count * (layers if ".block." in time["kernel"] else 1)
        assert time["calls"] == expected, (time, expected)
        multiplies = ".matmul" in time["kernel"]
        assert (time["weight_bytes"] > 0) == multiplies == (time["gigaoperations_per_second"] is not None), time
    # Each forward reads each weight of a linear and of the head, which is the embedding: nearly the whole file.
    read = sum(time["weight_bytes"] for time in times) / count
    assert 0.9 * document["model"]["weight_bytes"] < read <= document["model"]["weight_bytes"], read
print("the profile adds up")
