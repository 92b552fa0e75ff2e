// Round to nearest: to the bit against the numpy oracle (fixtures), and what must hold of any input.
#include "lib/Numerics/RoundToNearest.h"

#include "tests/unit/Numerics/Fixtures.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>
#include <sstream>

using namespace qopt;
using namespace qopt::test;

namespace {

struct Quantized {
  std::vector<uint8_t> codes;
  std::vector<std::byte> scales;
  std::vector<uint8_t> zeros;

  Quantized(const WeightScheme &scheme, int64_t rows, int64_t cols)
      : codes(static_cast<size_t>(rows * cols), 0xAA),
        scales(static_cast<size_t>(rows * scheme.groupsPerRow(cols)) * info(scheme.scale).blockBytes, std::byte{0xAA}),
        zeros(scheme.symmetric ? 0 : static_cast<size_t>(rows * scheme.groupsPerRow(cols)), 0xAA) {}

  QuantizedRows room() { return {codes, scales, zeros}; }
  QuantizedRowsView view() const { return {codes, scales, zeros}; }
  bool operator==(const Quantized &) const = default;
};

Quantized quantize(const WeightScheme &scheme, int64_t rows, int64_t cols, const std::vector<float> &weights) {
  Quantized out(scheme, rows, cols);
  Status status = quantizeRoundToNearest(scheme, rows, cols, weights, out.room());
  if (!status)
    ADD_FAILURE() << status.error().format();
  return out;
}

std::vector<float> dequantize(const WeightScheme &scheme, int64_t rows, int64_t cols, const Quantized &in) {
  std::vector<float> out(static_cast<size_t>(rows * cols), NAN);
  Status status = dequantizeRows(scheme, rows, cols, in.view(), out);
  if (!status)
    ADD_FAILURE() << status.error().format();
  return out;
}

/// CRC-32 as zlib computes it.
uint32_t crc32(std::span<const std::byte> bytes) {
  uint32_t crc = ~0u;
  for (std::byte byte : bytes) {
    crc ^= static_cast<uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit)
      crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

/// The tensor whose digests the fixture holds; as in tools/dev/make_numerics_fixtures.py.
std::vector<float> generatedWeights(size_t count) {
  uint32_t state = 12345;
  std::vector<float> weights(count);
  for (float &weight : weights) {
    int32_t total = -(2 << 20);
    for (int draw = 0; draw < 4; ++draw) {
      state = state * 1664525u + 1013904223u;
      total += static_cast<int32_t>(state >> 12);
    }
    weight = static_cast<float>(total) * 0x1p-24f;
  }
  return weights;
}

constexpr WeightScheme w4{4, true, 32, ElementFormat::F32};
constexpr WeightScheme w4Asymmetric{4, false, 32, ElementFormat::F32};
constexpr WeightScheme w4Half{4, true, 32, ElementFormat::F16};

} // namespace

TEST(RoundToNearest, equalsNumpyOnHardTensorsForEveryScheme) {
  FixtureCursor fixture(readFixture("rtn.bin"));
  int64_t rows = fixture.takeU32(), cols = fixture.takeU32();
  auto weights = fixture.take<float>(static_cast<size_t>(rows * cols));
  uint32_t count = fixture.takeU32();
  ASSERT_EQ(count, 92u);
  for (uint32_t i = 0; i < count; ++i) {
    auto letters = fixture.take<char>(fixture.takeU32());
    std::string text(letters.begin(), letters.end());
    Result<Scheme> scheme = parseScheme(text);
    ASSERT_TRUE(scheme) << text;
    Quantized wanted(scheme->weights, rows, cols);
    wanted.codes = fixture.take<uint8_t>(wanted.codes.size());
    wanted.scales = fixture.take<std::byte>(wanted.scales.size());
    wanted.zeros = fixture.take<uint8_t>(wanted.zeros.size());
    Quantized got = quantize(scheme->weights, rows, cols, weights);
    EXPECT_EQ(got.scales, wanted.scales) << text;
    EXPECT_EQ(got.zeros, wanted.zeros) << text;
    for (size_t at = 0; at < wanted.codes.size(); ++at)
      ASSERT_EQ(got.codes[at], wanted.codes[at]) << text << " element " << at << " weight " << weights[at];
  }
  EXPECT_TRUE(fixture.atEnd());
}

TEST(RoundToNearest, equalsNumpyByDigestOnALargerTensor) {
  constexpr int64_t rows = 24, cols = 768;
  std::vector<float> weights = generatedWeights(rows * cols);
  std::istringstream lines(readFixture("rtn_digests.txt"));
  int count = 0;
  for (std::string text, codes, scales, zeros; lines >> text >> codes >> scales >> zeros; ++count) {
    Quantized got = quantize(parseScheme(text)->weights, rows, cols, weights);
    EXPECT_EQ(crc32(std::as_bytes(std::span(got.codes))), std::stoul(codes, nullptr, 16)) << text;
    EXPECT_EQ(crc32(got.scales), std::stoul(scales, nullptr, 16)) << text;
    EXPECT_EQ(crc32(std::as_bytes(std::span(got.zeros))), std::stoul(zeros, nullptr, 16)) << text;
  }
  EXPECT_EQ(count, 92);
}

TEST(RoundToNearest, halvesGoToEvenAndTheEndIsClamped) {
  std::vector<float> weights(32, 0.0f);
  const float steps[] = {7.5f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, -7.5f, 6.5f, -6.5f, 7.4999995f};
  const int codes[] = {15, 8, 10, 10, 8, 6, 6, 0, 14, 2, 15};
  std::copy(std::begin(steps), std::end(steps), weights.begin());
  Quantized got = quantize(w4, 1, 32, weights);
  EXPECT_EQ(loadScale(ElementFormat::F32, got.scales.data()), 1.0f);
  for (size_t i = 0; i < std::size(codes); ++i)
    EXPECT_EQ(got.codes[i], codes[i]) << steps[i];
}

TEST(RoundToNearest, asymmetricRangesIncludeZero) {
  std::vector<float> weights(64);
  for (size_t i = 0; i < 32; ++i) {
    weights[i] = 15.0f - static_cast<float>(i % 8);       // all positive: zero point 0
    weights[32 + i] = -15.0f + static_cast<float>(i % 8); // all negative: zero point 15
  }
  Quantized got = quantize(w4Asymmetric, 2, 32, weights);
  EXPECT_EQ(got.zeros, (std::vector<uint8_t>{0, 15}));
  EXPECT_EQ(dequantize(w4Asymmetric, 2, 32, got), weights);
}

TEST(RoundToNearest, zeroPointsAreClamped) {
  // The scale of 1.4 subnormal units rounds to one: the range takes 21 steps of it.
  WeightScheme scheme{4, false, 32, ElementFormat::F16};
  Quantized got = quantize(scheme, 1, 32, std::vector<float>(32, -15 * 1.4f * 0x1p-24f));
  EXPECT_EQ(loadScale(ElementFormat::F16, got.scales.data()), 0x1p-24f);
  EXPECT_EQ(got.zeros, std::vector<uint8_t>{15});
  EXPECT_EQ(got.codes, std::vector<uint8_t>(32, 0));
}

TEST(RoundToNearest, groupsWithoutAScaleDecodeToZero) {
  for (float tiny : {0.0f, -0.0f, 1e-9f}) {
    Quantized symmetric = quantize(w4Half, 1, 32, std::vector<float>(32, tiny));
    EXPECT_EQ(symmetric.codes, std::vector<uint8_t>(32, 8));
    EXPECT_EQ(symmetric.scales, std::vector<std::byte>(2, std::byte{0}));
    WeightScheme scheme = w4Half;
    scheme.symmetric = false;
    Quantized asymmetric = quantize(scheme, 1, 32, std::vector<float>(32, -tiny));
    EXPECT_EQ(asymmetric.codes, std::vector<uint8_t>(32, 0));
    EXPECT_EQ(asymmetric.zeros, std::vector<uint8_t>{0});
    EXPECT_EQ(dequantize(scheme, 1, 32, asymmetric), std::vector<float>(32, 0.0f));
  }
}

TEST(RoundToNearest, weightsThatAreNotFiniteAreNamed) {
  for (WeightScheme scheme : {w4, w4Asymmetric})
    for (float bad : {NAN, -NAN, INFINITY, -INFINITY}) {
      std::vector<float> weights(3 * 64, 0.25f);
      weights[2 * 64 + 37] = bad;
      Quantized out(scheme, 3, 64);
      Status status = quantizeRoundToNearest(scheme, 3, 64, weights, out.room(), 100);
      ASSERT_FALSE(status) << bad;
      EXPECT_EQ(status.error().where, "row 102, column 37");
      EXPECT_EQ(status.error().rule.find("expected finite weights, but got "), 0u);
    }
}

TEST(RoundToNearest, scalesThatOverflowAreNamed) {
  std::vector<float> weights(2 * 64, 1.0f);
  weights[64 + 40] = 65504.0f * 7.5f;
  Quantized out(w4Half, 2, 64);
  EXPECT_TRUE(quantizeRoundToNearest(w4Half, 2, 64, weights, out.room()));
  weights[64 + 40] = 65520.0f * 7.5f;
  Status status = quantizeRoundToNearest(w4Half, 2, 64, weights, out.room());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().where, "row 1, columns 32 to 63");
  EXPECT_EQ(status.error().rule, "expected a scale that f16 can hold, but the weights range from 0 to 491400");

  // The range itself may overflow, though every weight is finite.
  std::vector<float> wide(32, std::numeric_limits<float>::max());
  wide[3] = -wide[3];
  Quantized room(w4Asymmetric, 1, 32);
  EXPECT_FALSE(quantizeRoundToNearest(w4Asymmetric, 1, 32, wide, room.room()));
}

TEST(RoundToNearest, spansMustFit) {
  std::vector<float> weights(64);
  Quantized out(w4Asymmetric, 2, 32);
  auto refuses = [&](QuantizedRows room, int64_t rows, int64_t cols, const char *rule) {
    Status status = quantizeRoundToNearest(w4Asymmetric, rows, cols, weights, room);
    ASSERT_FALSE(status) << rule;
    EXPECT_EQ(status.error().rule, rule);
  };
  QuantizedRows room = out.room();
  refuses(room, 3, 32, "expected 96 weights, but got 64");
  refuses({room.codes.first(63), room.scales, room.zeros}, 2, 32, "expected 64 codes, but got 63");
  refuses({room.codes, room.scales.first(4), room.zeros}, 2, 32, "expected 8 bytes of scales, but got 4");
  refuses({room.codes, room.scales, {}}, 2, 32, "expected 2 zero points, but got 0");
  refuses(room, 2, 33, "expected a group that divides the row, but 32 does not divide 33");
  refuses(room, INT64_MAX, 64, "expected a number of weights below 2^61, but got 9223372036854775807 rows of 64");
  EXPECT_EQ(dequantizeRows(w4, 2, 32, out.view(), weights).error().rule, "expected 0 zero points, but got 2");
}

/// A scheme, and weights of all magnitudes that no scale format overflows with.
static WeightScheme anyScheme() {
  return {*rc::gen::element(4, 8), *rc::gen::arbitrary<bool>(), *rc::gen::element<int64_t>(0, 32, 64),
          *rc::gen::element(ElementFormat::F16, ElementFormat::BF16, ElementFormat::F32)};
}
static std::vector<float> anyWeights(size_t count) {
  float unit = std::ldexp(1.0f, *rc::gen::inRange(-30, 9));
  auto steps = *rc::gen::container<std::vector<int>>(count, rc::gen::inRange(-1000, 1001));
  std::vector<float> weights(count);
  for (size_t i = 0; i < count; ++i)
    weights[i] = static_cast<float>(steps[i]) * unit;
  return weights;
}

RC_GTEST_PROP(RoundToNearest, rowsDoNotDependOnTheSplit, ()) {
  WeightScheme scheme = anyScheme();
  int64_t rows = *rc::gen::inRange<int64_t>(1, 9), cols = 64 * *rc::gen::inRange<int64_t>(1, 4);
  int64_t cut = *rc::gen::inRange<int64_t>(0, rows + 1);
  std::vector<float> weights = anyWeights(static_cast<size_t>(rows * cols));
  Quantized whole = quantize(scheme, rows, cols, weights), parts(scheme, rows, cols);
  size_t at = static_cast<size_t>(cut * cols), group = static_cast<size_t>(cut * scheme.groupsPerRow(cols));
  size_t scaleAt = group * info(scheme.scale).blockBytes, zeroAt = scheme.symmetric ? 0 : group;
  QuantizedRows room = parts.room();
  std::span<const float> from = weights;
  RC_ASSERT(static_cast<bool>(
      quantizeRoundToNearest(scheme, cut, cols, from.first(at),
                             {room.codes.first(at), room.scales.first(scaleAt), room.zeros.first(zeroAt)})));
  RC_ASSERT(static_cast<bool>(
      quantizeRoundToNearest(scheme, rows - cut, cols, from.subspan(at),
                             {room.codes.subspan(at), room.scales.subspan(scaleAt), room.zeros.subspan(zeroAt)}, cut)));
  RC_ASSERT(parts == whole);
}

RC_GTEST_PROP(RoundToNearest, noCodeIsNearer, ()) {
  WeightScheme scheme = anyScheme();
  constexpr int64_t cols = 64;
  std::vector<float> weights = anyWeights(cols);
  Quantized got = quantize(scheme, 1, cols, weights);
  std::vector<float> back = dequantize(scheme, 1, cols, got);
  int64_t size = scheme.groupSize(cols);
  for (int64_t i = 0; i < cols; ++i) {
    double scale =
        loadScale(scheme.scale, got.scales.data() + static_cast<size_t>(i / size) * info(scheme.scale).blockBytes);
    int zero = scheme.symmetric ? scheme.impliedZero() : got.zeros[static_cast<size_t>(i / size)];
    double weight = weights[static_cast<size_t>(i)], error = std::abs(back[static_cast<size_t>(i)] - weight);
    for (int code = 0; code <= scheme.maxCode(); ++code) // 2^-20: the quotient is rounded before it is compared
      RC_ASSERT(error <= std::abs(scale * (code - zero) - weight) + 0x1p-20 * std::abs(weight));
  }
}

RC_GTEST_PROP(RoundToNearest, dequantizedWeightsKeepTheirCodes, ()) {
  // Asymmetric with f32 scales: a grid's own values span it, if both ends occur.
  constexpr WeightScheme scheme{8, false, 32, ElementFormat::F32};
  float unit = std::ldexp(1.0f, *rc::gen::inRange(-20, 20));
  int zero = *rc::gen::inRange(0, 256);
  auto codes = *rc::gen::container<std::vector<uint8_t>>(32, rc::gen::arbitrary<uint8_t>());
  codes[0] = 0;
  codes[1] = 255;
  std::vector<float> weights(32);
  for (size_t i = 0; i < 32; ++i)
    weights[i] = unit * static_cast<float>(codes[i] - zero);
  Quantized got = quantize(scheme, 1, 32, weights);
  RC_ASSERT(got.codes == codes);
  RC_ASSERT(got.zeros[0] == zero);
  RC_ASSERT(dequantize(scheme, 1, 32, got) == weights);
}
