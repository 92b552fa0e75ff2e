import unittest

import numpy as np
import packed
from scoring import unpack

OUTPUTS, INPUTS, GROUP = 24, 96, 32


class Stream(unittest.TestCase):
    def test_round_trip_of_all_widths(self):
        random = np.random.default_rng(0)
        for bits in (2, 3, 4, 8):
            for count in (1, 31, 96):
                numbers = random.integers(0, 1 << bits, (5, count))
                np.testing.assert_array_equal(unpack.stream(packed.words(numbers, bits), bits, count), numbers)

    def test_numbers_of_3_bits_span_words(self):
        self.assertEqual(packed.words([[0] * 10 + [7] + [0] * 21], 3).view(np.uint32).tolist(), [[0xC0000000, 1, 0]])

    def test_refuses_what_is_left_over(self):
        words = packed.words([[1, 2, 3]], 4)
        with self.assertRaisesRegex(unpack.Malformed, "expected zeros behind"):
            unpack.stream(words, 4, 2)
        with self.assertRaisesRegex(unpack.Malformed, "expected 2 words"):
            unpack.stream(words, 4, 9)


class Formats(unittest.TestCase):
    def setUp(self):
        self.random = np.random.default_rng(1)
        self.scales = self.random.uniform(0.5, 2, (OUTPUTS, INPUTS // GROUP)).astype(np.float16)

    def numbers(self, low, high, shape=(OUTPUTS, INPUTS)):
        return self.random.integers(low, high, shape)

    def expected(self, codes, zeros, order):
        out = np.empty(codes.shape, np.float32)
        for row in range(codes.shape[0]):
            for column in range(codes.shape[1]):
                group = order[column]
                out[row, column] = np.float32(self.scales[row, group]) * (int(codes[row, column]) - int(zeros[row, group]))
        return out

    def test_gptq(self):
        order = self.random.permutation(np.arange(INPUTS) // GROUP)  # activation order leaves groups scattered
        for bits in (3, 4):
            codes, zeros = self.numbers(0, 1 << bits), self.numbers(0, 1 << bits, self.scales.shape)
            zeros[0, 0], zeros[1, 0] = 0, (1 << bits) - 1  # the least is stored as the greatest number
            made = unpack.gptq(packed.gptq("l", codes, self.scales, zeros, order, bits), "l", bits, GROUP, False)
            np.testing.assert_array_equal(made.weights(), self.expected(codes, zeros, order))
            self.assertEqual(made.bits_per_weight(), bits + (16 + bits) / GROUP)

    def test_gptq_refuses(self):
        order, zeros = np.arange(INPUTS) // GROUP, np.full(self.scales.shape, 8)
        zeros[3, 1] = 7
        tensors = packed.gptq("l", self.numbers(0, 16), self.scales, zeros, order, 4)
        with self.assertRaisesRegex(unpack.Malformed, "expected 8 throughout"):
            unpack.gptq(tensors, "l", 4, GROUP, True)
        order[0] = 1
        tensors = packed.gptq("l", self.numbers(0, 16), self.scales, zeros, order, 4)
        with self.assertRaisesRegex(unpack.Malformed, "groups of 32"):
            unpack.gptq(tensors, "l", 4, GROUP, False)

    def test_compressed(self):
        order = np.arange(INPUTS) // GROUP
        for bits in (3, 4):
            middle = 1 << (bits - 1)
            codes, zeros = self.numbers(-middle, middle), self.numbers(-middle, middle, self.scales.shape)
            made = unpack.compressed(packed.compressed("l", codes, self.scales, bits), "l", bits, GROUP, True)
            np.testing.assert_array_equal(made.weights(), self.expected(codes, np.zeros_like(zeros), order))
            self.assertEqual(made.bits_per_weight(), bits + 16 / GROUP)
            made = unpack.compressed(packed.compressed("l", codes, self.scales, bits, zeros), "l", bits, GROUP, False)
            np.testing.assert_array_equal(made.weights(), self.expected(codes, zeros, order))
            self.assertEqual(made.bits_per_weight(), bits + (16 + bits) / GROUP)

    def test_compressed_of_8_bits_by_output(self):
        codes = self.numbers(-128, 128).astype(np.int8)
        tensors = {"l.weight": codes, "l.weight_scale": self.scales[:, :1].astype(np.float32)}
        made = unpack.compressed(tensors, "l", 8, None, True)
        self.scales = self.scales[:, :1]
        np.testing.assert_array_equal(made.weights(), self.expected(codes, np.zeros((OUTPUTS, 1)), np.zeros(INPUTS, int)))
        self.assertEqual(made.bits_per_weight(), 8 + 16 / INPUTS)

    def test_compressed_refuses(self):
        tensors = packed.compressed("l", self.numbers(-8, 8), self.scales, 4, np.zeros(self.scales.shape, int))
        with self.assertRaisesRegex(unpack.Malformed, "expected none"):
            unpack.compressed(tensors, "l", 4, GROUP, True)
        with self.assertRaisesRegex(unpack.Malformed, "scales an output"):
            unpack.compressed(tensors, "l", 4, 16, False)
        with self.assertRaisesRegex(unpack.Malformed, "words for 96 numbers"):
            unpack.compressed(tensors, "l", 3, GROUP, False)
        with self.assertRaisesRegex(unpack.Malformed, "expected codes from -8"):
            unpack.compressed({"l.weight": np.full((2, 4), 9, np.int8), "l.weight_scale": np.ones((2, 1))}, "l", 4, None, True)


if __name__ == "__main__":
    unittest.main()
