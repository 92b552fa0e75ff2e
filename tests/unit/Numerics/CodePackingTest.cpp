// The archive's form of codes.
#include "lib/Numerics/CodePacking.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>

using namespace qopt;

TEST(CodePacking, evenCodesLieInTheLowNibble) {
  std::vector<uint8_t> codes = {0x1, 0x2, 0xF, 0x0, 0x0, 0xE};
  std::vector<std::byte> packed(3);
  ASSERT_TRUE(packCodes(4, codes, packed));
  EXPECT_EQ(packed, (std::vector<std::byte>{std::byte{0x21}, std::byte{0x0F}, std::byte{0xE0}}));
  std::vector<uint8_t> back(6, 0xAA);
  ASSERT_TRUE(unpackCodes(4, packed, back));
  EXPECT_EQ(back, codes);
}

/// Whole bytes of codes of some width, any of their values.
static std::pair<int, std::vector<uint8_t>> anyCodes() {
  int bits = *rc::gen::element(2, 3, 4, 5, 6, 8);
  size_t whole = 8 / std::gcd(static_cast<size_t>(bits), size_t{8}), count = *rc::gen::inRange<size_t>(0, 300) * whole;
  auto codes = *rc::gen::container<std::vector<uint8_t>>(count, rc::gen::inRange<int>(0, 1 << bits));
  return {bits, codes};
}

RC_GTEST_PROP(CodePacking, codesFollowEachOtherFromTheLowestBitUp, ()) {
  auto [bits, codes] = anyCodes();
  std::vector<std::byte> packed(codes.size() * static_cast<size_t>(bits) / 8);
  RC_ASSERT(static_cast<bool>(packCodes(bits, codes, packed)));
  for (size_t bit = 0; bit < packed.size() * 8; ++bit) {
    int got = std::to_integer<int>(packed[bit / 8]) >> (bit % 8) & 1;
    RC_ASSERT(got == (codes[bit / static_cast<size_t>(bits)] >> (bit % static_cast<size_t>(bits)) & 1));
  }
}

TEST(CodePacking, higherBitsAreIgnored) {
  for (int bits : {2, 3, 4, 5, 6}) {
    std::vector<uint8_t> codes(8, 0xFF);
    std::vector<std::byte> ones(static_cast<size_t>(bits), std::byte{0xFF}), packed(static_cast<size_t>(bits));
    codes[3] = static_cast<uint8_t>(~0u << bits);
    for (int bit = 3 * bits; bit < 4 * bits; ++bit)
      ones[static_cast<size_t>(bit) / 8] &= ~(std::byte{1} << (bit % 8));
    ASSERT_TRUE(packCodes(bits, codes, packed));
    EXPECT_EQ(packed, ones) << bits;
  }
}

RC_GTEST_PROP(CodePacking, unpackUndoesPack, ()) {
  auto [bits, codes] = anyCodes();
  size_t count = codes.size();
  std::vector<std::byte> packed(*packedCodeBytes(bits, static_cast<int64_t>(count)));
  RC_ASSERT(packed.size() == count * static_cast<size_t>(bits) / 8);
  RC_ASSERT(static_cast<bool>(packCodes(bits, codes, packed)));
  std::vector<uint8_t> back(count, 0xAA);
  RC_ASSERT(static_cast<bool>(unpackCodes(bits, packed, back)));
  RC_ASSERT(back == codes);
}

TEST(CodePacking, refusesWhatDoesNotFit) {
  EXPECT_EQ(packedCodeBytes(4, 7), std::nullopt);
  EXPECT_EQ(packedCodeBytes(3, 12), std::nullopt);
  EXPECT_EQ(packedCodeBytes(2, 6), std::nullopt);
  EXPECT_EQ(packedCodeBytes(5, 12), std::nullopt);
  EXPECT_EQ(packedCodeBytes(6, 6), std::nullopt);
  EXPECT_EQ(packedCodeBytes(7, 8), std::nullopt);
  EXPECT_EQ(packedCodeBytes(8, INT64_MAX), uint64_t{INT64_MAX});
  EXPECT_EQ(packedCodeBytes(8, -1), std::nullopt);
  std::vector<uint8_t> codes(6);
  std::vector<std::byte> packed(4);
  EXPECT_EQ(packCodes(4, codes, packed).error().rule, "expected 3 bytes of packed codes, but got 4");
  EXPECT_EQ(unpackCodes(4, packed, codes).error().rule, "expected 3 bytes of packed codes, but got 4");
  EXPECT_EQ(packCodes(7, codes, packed).error().rule,
            "expected codes of 2, 3, 4, 5, 6 or 8 bits that fill whole bytes, but got 6 codes of 7 bits");
  EXPECT_FALSE(packCodes(4, std::span(codes).first(5), packed));
}
