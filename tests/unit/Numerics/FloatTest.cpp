// Half precision and bfloat16, exhaustively: every value there and back, and every point at which rounding decides.
#include "lib/Numerics/Float.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace qopt;

/// A binary16 by its definition: sign, 5 bits of exponent, 10 of significand.
static double halfByDefinition(uint32_t bits) {
  int exponent = static_cast<int>(bits >> 10 & 31), significand = static_cast<int>(bits & 1023);
  double magnitude = exponent == 31  ? (significand ? NAN : INFINITY)
                     : exponent == 0 ? std::ldexp(significand, -24)
                                     : std::ldexp(1024 + significand, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

static uint32_t bitsOf(float value) { return std::bit_cast<uint32_t>(value); }

TEST(Float, everyHalfDecodesByDefinition) {
  for (uint32_t half = 0; half < 0x10000; ++half) {
    float value = halfToFloat(static_cast<uint16_t>(half));
    double wanted = halfByDefinition(half);
    if (std::isnan(wanted)) {
      EXPECT_EQ(bitsOf(value), (half & 0x8000u) << 16 | 0x7F800000u | (half & 1023u) << 13) << half;
      continue;
    }
    EXPECT_EQ(value, wanted) << half;
    EXPECT_EQ(std::signbit(value), std::signbit(wanted)) << half;
  }
}

TEST(Float, everyHalfSurvivesTheRoundTrip) {
  for (uint32_t half = 0; half < 0x10000; ++half) {
    bool isNaN = (half & 0x7FFF) > 0x7C00;
    EXPECT_EQ(floatToHalf(halfToFloat(static_cast<uint16_t>(half))), isNaN ? half | 0x0200 : half) << half;
  }
}

/// Between each two neighbours of a 16-bit format, the middle goes to the even one and its neighbours to the near one.
template <typename Encode, typename Decode>
static void checkRounding(uint32_t greatest, float firstOverflow, Encode encode, Decode decode) {
  for (uint32_t low = 0; low <= greatest; ++low) {
    float below = decode(static_cast<uint16_t>(low));
    // Beyond the greatest finite value lies the value that the next code would have, were it not infinity.
    double above = low == greatest ? firstOverflow : decode(static_cast<uint16_t>(low + 1));
    float middle = static_cast<float>((below + above) / 2);
    ASSERT_EQ(middle, (below + above) / 2);
    uint32_t even = low % 2 == 0 ? low : low + 1;
    for (uint32_t sign : {0u, 0x8000u}) {
      float factor = sign ? -1.0f : 1.0f;
      EXPECT_EQ(encode(factor * middle), sign | even) << low;
      EXPECT_EQ(encode(factor * std::nextafter(middle, 0.0f)), sign | low) << low;
      EXPECT_EQ(encode(factor * std::nextafter(middle, INFINITY)), sign | (low + 1)) << low;
    }
  }
}

TEST(Float, halfRoundsToNearestEven) { checkRounding(0x7BFF, 65536.0f, floatToHalf, halfToFloat); }

TEST(Float, halfOverflowsToInfinity) {
  EXPECT_EQ(floatToHalf(65519.996f), 0x7BFF);
  EXPECT_EQ(floatToHalf(65520.0f), 0x7C00);
  EXPECT_EQ(floatToHalf(65536.0f), 0x7C00);
  EXPECT_EQ(floatToHalf(-std::numeric_limits<float>::max()), 0xFC00);
  EXPECT_EQ(floatToHalf(-INFINITY), 0xFC00);
}

TEST(Float, nanStaysNaN) {
  // The payload lies in bits that are cut off: what is left must not look like an infinity.
  for (uint32_t bits : {0x7F800001u, 0xFF800001u, 0x7FC00000u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
    float value = std::bit_cast<float>(bits);
    EXPECT_GT(floatToHalf(value) & 0x7FFF, 0x7C00) << bits;
    EXPECT_GT(floatToBfloat16(value) & 0x7FFF, 0x7F80) << bits;
    EXPECT_EQ(floatToHalf(value) >> 15, bits >> 31);
    EXPECT_EQ(floatToBfloat16(value) >> 15, bits >> 31);
  }
}

TEST(Float, everyBfloat16SurvivesTheRoundTrip) {
  for (uint32_t code = 0; code < 0x10000; ++code) {
    float value = bfloat16ToFloat(static_cast<uint16_t>(code));
    EXPECT_EQ(bitsOf(value), code << 16);
    bool isNaN = (code & 0x7FFF) > 0x7F80;
    EXPECT_EQ(floatToBfloat16(value), isNaN ? code | 0x0040 : code) << code;
  }
}

TEST(Float, bfloat16RoundsToNearestEven) {
  // All but the last: beyond the greatest finite bfloat16 the next value is no f32.
  for (uint32_t low = 0; low < 0x7F7F; ++low) {
    uint32_t middle = low << 16 | 0x8000, even = low + low % 2;
    for (uint32_t sign : {0u, 0x8000u}) {
      EXPECT_EQ(floatToBfloat16(std::bit_cast<float>(sign << 16 | middle)), sign | even);
      EXPECT_EQ(floatToBfloat16(std::bit_cast<float>(sign << 16 | (middle - 1))), sign | low);
      EXPECT_EQ(floatToBfloat16(std::bit_cast<float>(sign << 16 | (middle + 1))), sign | (low + 1));
    }
  }
  EXPECT_EQ(floatToBfloat16(std::numeric_limits<float>::max()), 0x7F80);
  EXPECT_EQ(floatToBfloat16(std::bit_cast<float>(0x7F7F7FFFu)), 0x7F7F);
}
