import dataclasses
import unittest

import numpy as np
from scoring import settings, tensors, unpack, verify

GROUP, HEAD = 32, 16
NEAR = dataclasses.replace(settings.ROWS["w4-best"], group=GROUP)  # rounds to nearest, scales nothing
SHAPES = {"self_attn.q_proj": (64, 64), "self_attn.k_proj": (32, 64), "self_attn.v_proj": (32, 64), "self_attn.o_proj": (64, 64),
          "mlp.gate_proj": (96, 64), "mlp.up_proj": (96, 64), "mlp.down_proj": (64, 96)}
LINEAR = "model.layers.0.mlp.gate_proj.weight"


def nearest(weights, bits=4, group=GROUP, zeros=False):
    """Round to nearest; with `zeros` from the least to the greatest weight, else symmetric."""
    grouped, top = weights.reshape(len(weights), -1, group or weights.shape[1]), (1 << bits) - 1
    if zeros:
        scales = np.ptp(grouped, axis=-1) / top
        points = np.rint(-grouped.min(-1) / scales).astype(np.int32)
        low, high = 0, top
    else:
        scales, points = np.abs(grouped).max(-1) / (top // 2), np.zeros(grouped.shape[:2], np.int32)
        low, high = -(top + 1) // 2, top // 2
    codes = np.clip(np.rint(grouped / scales[..., None]) + points[..., None], low, high).astype(np.int32).reshape(weights.shape)
    return unpack.Linear(codes, scales.astype(np.float32), points, np.arange(weights.shape[1]) // (group or weights.shape[1]), bits, zeros)


def with_feedback(weights, bits, group, seed=3):
    """Round to nearest after GPTQ's manner: a weight's error goes on to those that follow, by inputs that depend on each other."""
    random = np.random.default_rng(seed)
    inputs = random.standard_normal((512, weights.shape[1])) @ random.standard_normal((weights.shape[1], weights.shape[1]))
    inputs += 40 * random.standard_normal((512, 1))  # what all inputs share
    hessian = inputs.T @ inputs
    hessian[np.diag_indices(len(hessian))] += 0.01 * np.diag(hessian).mean()
    factor = np.linalg.cholesky(np.linalg.inv(hessian)).T
    plain, left = nearest(weights, bits, group), weights.astype(np.float64)
    codes, top = np.zeros_like(plain.codes), 1 << (bits - 1)
    for column, owner in enumerate(plain.groups):
        scale = plain.scales[:, owner]
        codes[:, column] = np.clip(np.rint(left[:, column] / scale), -top, top - 1)
        left[:, column:] -= np.outer((left[:, column] - scale * codes[:, column]) / factor[column, column], factor[column, column:])
    return dataclasses.replace(plain, codes=codes)


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

    def split(self, rounded=nearest):
        self.linears = {name: rounded(weights) for name, weights in self.scaled.items() if name.endswith("_proj.weight")}
        self.rest = {name: weights for name, weights in self.scaled.items() if name not in self.linears}

    def check(self, *, kind="F32", **changed):
        row = dataclasses.replace(NEAR, **({"pairs": changed["rescaled"]} if "rescaled" in changed else {}) | changed)
        return verify.model(self.linears, self.rest, dict.fromkeys(self.rest, kind), self.original, row, HEAD)

    def refuses(self, words, **options):
        with self.assertRaisesRegex(verify.Unfaithful, words):
            self.check(**options)

    def change(self, name, **changed):
        """Another of a linear's parts: what `changed` makes of what is there."""
        linear = self.linears[name]
        self.linears[name] = dataclasses.replace(linear, **{part: make(getattr(linear, part).copy()) for part, make in changed.items()})

    def scale_channels(self, pairs=True):
        """What AWQ does: norms, up and v take in the inverses of what is multiplied into what reads them. SmoothQuant: norms alone."""
        random = np.random.default_rng(1)
        for layer in range(2):
            prefix = f"model.layers.{layer}."
            for norm, readers in verify.NORM_READERS.items():
                factors = random.uniform(0.3, 3, 64).astype(np.float32)
                self.scaled[f"{prefix}{norm}.weight"] /= factors
                for reader in readers:
                    self.scaled[f"{prefix}{reader}.weight"] *= factors
            if not pairs:
                continue
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
        self.change(name, codes=lambda codes: codes[:, ::-1])
        self.refuses("down_proj.weight: expected a distance")

    def test_refuses_what_was_not_quantized(self):
        name = "model.layers.0.mlp.gate_proj.weight"
        codes = np.rint(self.original[name] * 4096).astype(np.int32)
        self.linears[name] = unpack.Linear(codes, np.full((96, 2), 1 / 4096, np.float32), np.zeros((96, 2), np.int32),
                                           np.arange(64) // GROUP, 4, False)
        self.refuses("at most 16 levels in a group, but got 3[0-2]")

    def test_refuses_other_bits(self):
        self.refuses("expected codes of 3 bits, but they are of 4", bits=3, feedback=True)

    def test_refuses_scales_that_are_off_throughout(self):
        for factor in (1.3, 0.7, 1.05):
            self.split()
            self.change(LINEAR, scales=lambda scales: scales * np.float32(factor))
            self.refuses(f"{LINEAR}: expected (a distance|the factor by least squares)")

    def test_refuses_the_next_groups_scale(self):
        self.change(LINEAR, scales=lambda scales: np.roll(scales, 1, axis=1))
        self.refuses(f"{LINEAR}: expected (a distance|factors of groups)")
        self.split(lambda weights: with_feedback(weights, 4, GROUP))
        self.check(feedback=True)
        self.change(LINEAR, scales=lambda scales: np.roll(scales, 1, axis=1))
        self.refuses(f"{LINEAR}: expected factors of groups", feedback=True)

    def test_refuses_zero_points_that_are_off_by_one(self):
        for which in (np.s_[:], np.s_[:, 1:], np.s_[::8]):  # everywhere, of a group of each output, of some outputs
            def moved(zeros):
                zeros[which] += 1
                return zeros

            self.split(lambda weights: nearest(weights, zeros=True))
            self.check()
            self.change(LINEAR, zeros=moved)
            self.refuses(f"{LINEAR}: expected (a distance|the mean error of a group's weights)")

    def test_refuses_an_output_that_is_zero(self):
        def emptied(codes):
            codes[7] = 0
            return codes

        self.change(LINEAR, codes=emptied)
        self.refuses(f"{LINEAR}: expected the factor of an output's weights, less 1, below 0.2, but got 1$")

    def test_refuses_a_norm_that_is_off_where_channels_may_be_scaled(self):
        name = "model.layers.0.post_attention_layernorm.weight"
        for changed in (np.s_[:], np.s_[5]):  # throughout by 5%, a channel by a quarter
            self.setUp()
            self.scale_channels(pairs=False)
            self.check(rescaled=True, pairs=False)
            self.check(rescaled=True)
            self.rest[name][changed] *= np.float32(1.05 if changed == np.s_[:] else 0.75)
            self.refuses("layers.0.mlp.gate_proj.weight: expected (the factor by least|the mean error of an input's)", rescaled=True,
                         pairs=False)
            self.refuses("layers.0.mlp.", rescaled=True)
            self.rest[name][changed] *= np.float32(-1)
            self.refuses(f"{name}: expected the original's channels times positive factors", rescaled=True)

    def test_norms_may_be_scaled_where_pairs_may_not(self):
        self.scale_channels()
        self.refuses("mlp.down_proj.weight: expected a distance", rescaled=True, pairs=False)

    def test_refuses_a_row_that_nothing_undoes(self):
        self.scale_channels()
        name = "model.layers.1.mlp.up_proj.weight"
        for factor, words in ((0, "up_proj.weight: expected the original's rows times positive factors"),
                              (2, "down_proj.weight: expected the mean error of an input's weights")):
            self.split()
            self.change(name, scales=lambda scales: scales * np.where(np.arange(96) == 11, factor, 1)[:, None].astype(np.float32))
            self.refuses(words, rescaled=True)

    def test_pairs_have_to_cancel_within_their_tolerance(self):
        name = "model.layers.1.mlp.up_proj.weight"
        for over, refused in ((0.5, False), (1.5, True)):
            self.split()
            self.change(name, scales=lambda scales: scales * np.float32(1 + over * 0.03))
            if refused:
                self.refuses("of which 0.03 is allowed", rescaled=True)
            else:
                self.check(rescaled=True)

    def test_distances_have_bounds(self):
        """Errors that have no other mark than their size: of either sign, however large the weight."""
        def noisy(distance):
            random = np.random.default_rng(5)
            return np.abs(weights) * random.choice((-1.0, 1.0), weights.shape) * distance

        weights, groups = self.original[LINEAR], np.arange(64) // GROUP
        steps = np.full(weights.shape, 1.0)
        for (bits, feedback), greatest in {(3, True): 0.7, (4, True): 0.4, (4, False): 0.2, (8, True): 0.06}.items():
            bounds = dataclasses.replace(verify.BOUNDS[bits, feedback], slope=9, output=9, group=9, input=9, shift=9)
            for distance, refused in ((0.9 * greatest, False), (1.1 * greatest, True)):
                measured = verify.measures(weights + noisy(distance), weights, steps, groups)
                self.assertAlmostEqual(measured["distance"], distance)
                if refused:
                    with self.assertRaisesRegex(verify.Unfaithful, f"l: expected a distance to the original.* below {greatest:g}, but got"):
                        verify._near("l", measured, bounds, verify.Verified())
                else:
                    verify._near("l", measured, bounds, verify.Verified())

    def test_bounds_are_those_that_the_records_were_held_against(self):
        self.assertEqual({key: dataclasses.astuple(bounds) for key, bounds in verify.BOUNDS.items()},
                         {(3, True): (0.7, 0.04, 0.5, 0.13, 2, 0.25), (4, True): (0.4, 0.03, 0.5, 0.1, 2, 0.25),
                          (4, False): (0.2, 0.03, 0.2, 0.1, 0.5, 0.25), (8, True): (0.06, 0.01, 0.03, 0.02, 2, 0.25)})
        self.assertEqual(dataclasses.astuple(verify.nearest(256)), (0.0125, 0.001875, 0.0125, 0.00625, 0.5, 0.25))

    def test_refuses_what_is_nearer_than_rounding(self):
        self.original[LINEAR] = self.linears[LINEAR].weights()  # as of a peer that was given its own output
        self.refuses(f"{LINEAR}: expected a distance to the original above 1e-05 of its norm, but got 0$")

    def test_accepts_what_feeds_errors_on(self):
        for bits, group in ((3, GROUP), (4, GROUP), (8, None)):
            self.split(lambda weights: with_feedback(weights, bits, group))
            _, seen = self.check(bits=bits, group=group, feedback=True)
            self.assertGreater(seen.greatest_distance, 1.2 * np.mean([verify.measures(
                nearest(self.original[name], bits, group).weights(), self.original[name], np.ones((1, 1)), linear.groups)["distance"]
                for name, linear in self.linears.items()]))

    def test_blocks_are_held_against_the_original_too(self):
        levels = {name: (GROUP, 16) for name in self.linears}
        made = self.rest | {name: linear.weights() for name, linear in self.linears.items()}
        seen = verify.blocks(made, self.original, levels)
        self.assertEqual((seen.linears, seen.greatest_levels), (14, 15))
        step = np.ptp(made[LINEAR].reshape(96, -1, GROUP), axis=2).repeat(GROUP, axis=1) / 15
        for changed, words in ((made[LINEAR] * np.float32(1.05), "the factor by least squares, less 1, below 0.03"),
                               (made[LINEAR] + step, "a group's weights"),
                               (np.where(np.arange(96)[:, None] == 3, 0, made[LINEAR]), "an output's weights")):
            with self.assertRaisesRegex(verify.Unfaithful, f"{LINEAR}: expected .*(a distance|{words})"):
                verify.blocks(made | {LINEAR: changed.astype(np.float32)}, self.original, levels)

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
