// The reference encoding of activations against a plain evaluation of its formula, and at its edges.
#include "lib/Numerics/Activations.h"

#include "lib/Numerics/Float.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

using namespace qopt;

/// Codes and scale of one group, with the C library's rint.
static void checkGroup(std::span<const float> x, std::span<const int8_t> codes, float scale) {
  float greatest = 0;
  for (float value : x)
    greatest = std::max(greatest, std::fabs(value));
  volatile float wantedScale = greatest / 127; // volatile: rounded to f32 here
  ASSERT_EQ(scale, wantedScale);
  volatile float inverse = wantedScale >= std::numeric_limits<float>::min() ? 1 / wantedScale : 0;
  for (size_t i = 0; i < x.size(); ++i) {
    volatile float product = x[i] * inverse;
    ASSERT_EQ(codes[i], std::clamp(std::rint(product), -127.0f, 127.0f)) << x[i] << " scale " << scale;
  }
}

RC_GTEST_PROP(Activations, i8FollowsTheFormula, ()) {
  bool perToken = *rc::gen::arbitrary<bool>();
  int64_t tokens = *rc::gen::inRange<int64_t>(1, 5), channels = 32 * *rc::gen::inRange<int64_t>(1, 7);
  int64_t group = perToken ? channels : activationGroup;
  auto steps =
      *rc::gen::container<std::vector<int>>(static_cast<size_t>(tokens * channels), rc::gen::inRange(-254, 255));
  float unit = std::ldexp(1.0f, *rc::gen::inRange(-149, 100)) * static_cast<float>(*rc::gen::inRange(1, 1000));
  std::vector<float> x(steps.size());
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(steps[i]) * unit;
  std::vector<int8_t> codes(x.size(), -128);
  std::vector<float> scales(x.size() / static_cast<size_t>(group), NAN);
  RC_ASSERT(static_cast<bool>(encodeActivationsI8(tokens, channels, group, x, codes, scales)));
  for (size_t i = 0; i < scales.size(); ++i) {
    size_t first = i * static_cast<size_t>(group);
    checkGroup(std::span(x).subspan(first, static_cast<size_t>(group)),
               std::span(codes).subspan(first, static_cast<size_t>(group)), scales[i]);
  }
  RC_ASSERT(!testing::Test::HasFailure());
}

/// One token in one group.
static float encode(std::vector<float> x, std::vector<int8_t> &codes) {
  codes.assign(x.size(), 99);
  float scale = NAN;
  auto channels = static_cast<int64_t>(x.size());
  EXPECT_TRUE(encodeActivationsI8(1, channels, channels, x, codes, std::span(&scale, 1)));
  return scale;
}

TEST(Activations, halvesGoToEvenWithinBounds) {
  std::vector<int8_t> codes;
  EXPECT_EQ(encode({127.0f, -127.0f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f}, codes), 1.0f);
  EXPECT_EQ(codes, (std::vector<int8_t>{127, -127, 0, 2, 2, 0, -2, -2}));
}

TEST(Activations, nothingAndNearlyNothingGiveZeroCodes) {
  std::vector<int8_t> codes;
  EXPECT_EQ(encode({0.0f, -0.0f}, codes), 0.0f);
  EXPECT_EQ(codes, (std::vector<int8_t>{0, 0}));
  // The scale is subnormal, and its inverse would be infinite.
  EXPECT_EQ(encode({0.0f, 1e-42f, -1e-38f}, codes), 1e-38f / 127);
  EXPECT_EQ(codes, (std::vector<int8_t>{0, 0, 0}));
  // The least scale that counts.
  EXPECT_EQ(encode({127 * 0x1p-126f, 0x1p-126f}, codes), 0x1p-126f);
  EXPECT_EQ(codes, (std::vector<int8_t>{127, 1}));
}

TEST(Activations, whatIsNotFiniteShowsInTheScale) {
  std::vector<int8_t> codes;
  for (float bad : {NAN, -NAN, INFINITY, -INFINITY}) {
    EXPECT_FALSE(std::isfinite(encode({1.0f, bad, -3.0f}, codes)));
    EXPECT_GE(*std::min_element(codes.begin(), codes.end()), -127);
  }
}

TEST(Activations, staticCodesAreClamped) {
  std::vector<int8_t> codes(6);
  std::vector<float> x = {0.25f, 0.75f, 63.5f, 63.75f, 64.0f, -1e30f}, scales(1);
  ASSERT_TRUE(encodeActivationsStatic(0.5f, 1, 6, x, codes, scales));
  EXPECT_EQ(codes, (std::vector<int8_t>{0, 2, 127, 127, 127, -127}));
  EXPECT_EQ(scales[0], 0.5f);
}

TEST(Activations, whatIsNotFiniteShowsInTheScaleOfStaticCodes) {
  for (float bad : {NAN, -NAN, INFINITY, -INFINITY}) {
    std::vector<float> x = {1.0f, 2.0f, 3.0f, bad, 5.0f, 6.0f}, scales(3);
    std::vector<int8_t> codes(6);
    ASSERT_TRUE(encodeActivationsStatic(0.5f, 3, 2, x, codes, scales));
    EXPECT_EQ(scales[0], 0.5f);
    EXPECT_TRUE(std::isnan(scales[1]));
    EXPECT_EQ(scales[2], 0.5f);
    EXPECT_GE(*std::min_element(codes.begin(), codes.end()), -127);
  }
}

RC_GTEST_PROP(Activations, staticIsDynamicWhereTheScalesAreTheSame, ()) {
  auto steps = *rc::gen::container<std::vector<int>>(64, rc::gen::inRange(-1000, 1001));
  RC_PRE(std::ranges::any_of(steps, [](int step) { return step != 0; }));
  std::vector<float> x(steps.begin(), steps.end());
  std::vector<int8_t> dynamic(64), fixed(64);
  float scale = NAN, same = NAN;
  RC_ASSERT(static_cast<bool>(encodeActivationsI8(1, 64, 64, x, dynamic, std::span(&scale, 1))));
  RC_ASSERT(static_cast<bool>(encodeActivationsStatic(scale, 1, 64, x, fixed, std::span(&same, 1))));
  RC_ASSERT(fixed == dynamic);
  RC_ASSERT(same == scale);
}

TEST(Activations, staticScalesMustBeUsable) {
  std::vector<float> x(4), scales(2);
  std::vector<int8_t> codes(4), few(3);
  for (float scale : {0.0f, -1.0f, 0x1p-127f, NAN, INFINITY})
    EXPECT_FALSE(encodeActivationsStatic(scale, 2, 2, x, codes, scales)) << scale;
  EXPECT_TRUE(encodeActivationsStatic(0x1p-126f, 2, 2, x, codes, scales));
  EXPECT_FALSE(encodeActivationsStatic(1.0f, 2, 2, x, few, scales));
  EXPECT_FALSE(encodeActivationsStatic(1.0f, 1, 4, x, codes, scales));
}

TEST(Activations, bf16RoundsToNearestEven) {
  std::vector<float> x = {1.0f, 0x1.01p0f, 0x1.03p0f, -0.1f, 3.4e38f};
  std::vector<uint16_t> out(x.size());
  ASSERT_TRUE(encodeActivationsBF16(x, out));
  for (size_t i = 0; i < x.size(); ++i)
    EXPECT_EQ(out[i], floatToBfloat16(x[i]));
  EXPECT_EQ(out[1], 0x3F80);
  EXPECT_EQ(out[2], 0x3F82);
}

TEST(Activations, shapesMustFit) {
  std::vector<float> x(64), scales(2);
  std::vector<int8_t> codes(64);
  EXPECT_TRUE(encodeActivationsI8(1, 64, 32, x, codes, scales));
  EXPECT_EQ(encodeActivationsI8(1, 64, 48, x, codes, scales).error().rule,
            "expected at least one token and a group that divides the channels, but got 1 tokens of 64 channels in "
            "groups of 48");
  EXPECT_FALSE(encodeActivationsI8(0, 64, 32, x, codes, scales));
  EXPECT_EQ(encodeActivationsI8(2, 64, 32, x, codes, scales).error().rule,
            "expected as many values and codes as tokens times channels and a scale per group, but got 64, 64 and 2");
  EXPECT_FALSE(encodeActivationsI8(1, 64, 64, x, codes, scales));
  EXPECT_FALSE(encodeActivationsI8(1, 64, 32, x, std::span(codes).first(63), scales));
  std::vector<uint16_t> out(63);
  EXPECT_EQ(encodeActivationsBF16(x, out).error().rule, "expected as many results as values, but got 63 and 64");
}
