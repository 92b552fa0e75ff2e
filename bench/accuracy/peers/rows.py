"""What each peer is told, row by row; what is not said is the peer's default. Read by the peers' scripts and by what keeps their results:
another setting of a row makes that row's results out of date, and no other's. Data alone, of any Python."""

# Groups are 64 everywhere: the peers' presets have 128, which does not divide this model's 576 inputs.

# GPTQModel's defaults: symmetric, no activation order but activation-aware groups, damping 0.05.
GPTQMODEL = {"w4-gptq": {"bits": 4, "group_size": 64}, "w3-gptq": {"bits": 3, "group_size": 64}}


def _linears(weights, **activations):
    return {"config_groups": {"linears": {"targets": ["Linear"], "weights": {"type": "int", **weights},
                                          **({"input_activations": {"num_bits": 8, "type": "int", "symmetric": True, **activations}}
                                             if activations else {})}}}


def _group(bits, symmetric):
    return {"num_bits": bits, "symmetric": symmetric, "strategy": "group", "group_size": 64}


_CHANNEL = {"num_bits": 8, "symmetric": True, "strategy": "channel"}
_PER_TOKEN = {"strategy": "token", "dynamic": True}
# The observer is the one that its presets for static activations name. Where none is named it takes a moving average of maxima.
_PER_TENSOR = {"strategy": "tensor", "dynamic": False, "observer": "static_minmax"}
# llm-compressor: modifiers by name with what they are told. A smoothing strength of 0.8 is that of its documented W8A8 recipe, whose
# weights have the bits to take outliers in; under 4 bits the modifier's default of 0.5 stands. Its default mappings smooth what norms
# write, and neither o's nor down's inputs.
LLMCOMPRESSOR = {
    "w4-gptq": [("GPTQModifier", _linears(_group(4, True)))],
    "w4-awq": [("AWQModifier", {}), ("QuantizationModifier", _linears(_group(4, False)))],
    "w8a8-dynamic": [("SmoothQuantModifier", {"smoothing_strength": 0.8}), ("GPTQModifier", _linears(_CHANNEL, **_PER_TOKEN))],
    "w8a8-static": [("SmoothQuantModifier", {"smoothing_strength": 0.8}), ("GPTQModifier", _linears(_CHANNEL, **_PER_TENSOR))],
    "w4a8": [("SmoothQuantModifier", {"smoothing_strength": 0.5}), ("GPTQModifier", _linears(_group(4, True), **_PER_TOKEN))],
}

# auto-round's "light" recipe. Its samples of 2048 tokens become ours of 512: a quarter of the tokens it would take. Compiling by torch,
# its default, took longer on two CPUs than it could save; it changes no figure by intent. Its `amp`, on by default, lets it work in
# bf16 where the CPU has that, as ours does not; peer.json says what it took.
_LIGHT = {"scheme": "W4A16", "group_size": 64, "iters": 50, "lr": 5e-3, "batch_size": 8, "enable_torch_compile": False}
AUTOROUND = {"w4-best": {**_LIGHT, "sym": False}, "w4-best-sym": {**_LIGHT, "sym": True}}

# llama.cpp: the name of a mix. It takes no text, and no importance matrix is given.
LLAMACPP = {"mixed": "q4_k_m"}

ROWS = {"gptqmodel": GPTQMODEL, "llmcompressor": LLMCOMPRESSOR, "autoround": AUTOROUND, "llamacpp": LLAMACPP}
