import unittest

import numpy as np
from scoring import tensors, unpack, verify

GROUP, HEAD = 32, 16
SHAPES = {"self_attn.q_proj": (64, 64), "self_attn.k_proj": (32, 64), "self_attn.v_proj": (32, 64), "self_attn.o_proj": (64, 64),
          "mlp.gate_proj": (96, 64), "mlp.up_proj": (96, 64), "mlp.down_proj": (64, 96)}


def nearest(weights):
    """Round to nearest in 4 bits, symmetric."""
    grouped = weights.reshape(len(weights), -1, GROUP)
    scales = np.abs(grouped).max(-1) / 7
    codes = np.clip(np.rint(grouped / scales[..., None]), -8, 7).astype(np.int32).reshape(weights.shape)
    return unpack.Linear(codes, scales.astype(np.float32), np.zeros(scales.shape, np.int32), np.arange(weights.shape[1]) // GROUP, 4,
                         False)


class Model(unittest.TestCase):
    def setUp(self):
        random = np.random.default_rng(0)
        self.original = {"model.embed_tokens.weight": random.standard_normal((50, 64)).astype(np.float32),
                         "model.norm.weight": random.uniform(0.5, 2, 64).astype(np.float32)}
        for layer in range(2):
            for name, shape in SHAPES.items():
                self.original[f"model.layers.{layer}.{name}.weight"] = random.standard_normal(shape).astype(np.float32)
            for norm in verify.NORM_READERS:
                self.original[f"model.layers.{layer}.{norm}.weight"] = random.uniform(0.5, 2, 64).astype(np.float32)
        self.scaled = {name: weights.copy() for name, weights in self.original.items()}
        self.split()

    def split(self):
        self.linears = {name: nearest(weights) for name, weights in self.scaled.items() if name.endswith("_proj.weight")}
        self.rest = {name: weights for name, weights in self.scaled.items() if name not in self.linears}

    def check(self, *, rescaled=False, kind="F32", bits=4):
        return verify.model(self.linears, self.rest, dict.fromkeys(self.rest, kind), self.original, bits=bits, rescaled=rescaled,
                            head_dim=HEAD)

    def refuses(self, words, **options):
        with self.assertRaisesRegex(verify.Unfaithful, words):
            self.check(**options)

    def scale_channels(self):
        """What AWQ does: norms, up and v take in the inverses of what is multiplied into what reads them."""
        random = np.random.default_rng(1)
        for layer in range(2):
            prefix = f"model.layers.{layer}."
            for norm, readers in verify.NORM_READERS.items():
                factors = random.uniform(0.3, 3, 64).astype(np.float32)
                self.scaled[f"{prefix}{norm}.weight"] /= factors
                for reader in readers:
                    self.scaled[f"{prefix}{reader}.weight"] *= factors
            factors = random.uniform(0.3, 3, 96).astype(np.float32)
            self.scaled[f"{prefix}mlp.up_proj.weight"] /= factors[:, None]
            self.scaled[f"{prefix}mlp.down_proj.weight"] *= factors
            factors = random.uniform(0.3, 3, (2, HEAD)).astype(np.float32)
            self.scaled[f"{prefix}self_attn.v_proj.weight"] /= factors.reshape(-1, 1)
            self.scaled[f"{prefix}self_attn.o_proj.weight"] *= np.repeat(factors, 2, axis=0).reshape(-1)
        self.split()

    def test_accepts_a_quantized_model(self):
        made, seen = self.check()
        self.assertEqual(set(made), set(self.original))
        self.assertEqual((seen.linears, seen.bits_per_weight, seen.rescaled_norms), (14, 4.5, 0))
        self.assertLess(seen.greatest_distance, 0.2)
        self.assertLessEqual(seen.greatest_levels, 15)

    def test_accepts_scaled_channels_where_they_are_allowed(self):
        self.scale_channels()
        _, seen = self.check(rescaled=True)
        self.assertEqual(seen.rescaled_norms, 4)
        self.refuses("input_layernorm.weight: expected it as it was")

    def test_refuses_scales_that_do_not_cancel(self):
        self.scale_channels()
        self.scaled["model.layers.1.mlp.up_proj.weight"] *= 1.3
        self.split()
        self.refuses("layers.1.mlp.up_proj.*expected factors that cancel", rescaled=True)

    def test_refuses_weights_in_another_order(self):
        name = "model.layers.1.mlp.down_proj.weight"
        linear = self.linears[name]
        self.linears[name] = unpack.Linear(linear.codes[:, ::-1], linear.scales, linear.zeros, linear.groups, 4, False)
        self.refuses("down_proj.weight: expected a distance")

    def test_refuses_what_was_not_quantized(self):
        name = "model.layers.0.mlp.gate_proj.weight"
        codes = np.rint(self.original[name] * 4096).astype(np.int32)
        self.linears[name] = unpack.Linear(codes, np.full((96, 2), 1 / 4096, np.float32), np.zeros((96, 2), np.int32),
                                           np.arange(64) // GROUP, 4, False)
        self.refuses("at most 16 levels in a group, but got 3[0-2], in 4 bits")

    def test_refuses_other_bits(self):
        self.refuses("at most 8 levels", bits=3)

    def test_refuses_a_linear_that_is_missing(self):
        del self.linears["model.layers.0.mlp.gate_proj.weight"]
        self.refuses("expected 14 quantized linears, but got 13")

    def test_refuses_another_embedding(self):
        self.rest["model.embed_tokens.weight"] = self.rest["model.embed_tokens.weight"] + 1e-3
        self.refuses("embed_tokens.weight: expected it as it was", rescaled=True)

    def test_takes_a_tied_head_and_nothing_else_beside(self):
        self.rest["lm_head.weight"] = self.rest["model.embed_tokens.weight"]
        self.check()
        self.rest["lm_head.weight"] = self.rest["lm_head.weight"] * 2
        self.refuses("expected no tensors but the original's")

    def test_rounding_of_what_is_left_alone(self):
        self.rest = {name: tensors.bf16(weights) for name, weights in self.rest.items()}
        self.check(kind="BF16")
        self.refuses("expected it as it was, in F32")


if __name__ == "__main__":
    unittest.main()
