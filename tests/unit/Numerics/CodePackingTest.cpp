// The archive's form of codes.
#include "lib/Numerics/CodePacking.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

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

RC_GTEST_PROP(CodePacking, unpackUndoesPack, ()) {
  int bits = *rc::gen::element(4, 8);
  size_t count = *rc::gen::inRange<size_t>(0, 300) * 2 + (bits == 8 ? *rc::gen::inRange<size_t>(0, 2) : 0);
  auto codes = *rc::gen::container<std::vector<uint8_t>>(count, rc::gen::inRange<uint8_t>(0, bits == 4 ? 16 : 255));
  std::vector<std::byte> packed(*packedCodeBytes(bits, static_cast<int64_t>(count)));
  RC_ASSERT(packed.size() == count * static_cast<size_t>(bits) / 8);
  RC_ASSERT(static_cast<bool>(packCodes(bits, codes, packed)));
  std::vector<uint8_t> back(count, 0xAA);
  RC_ASSERT(static_cast<bool>(unpackCodes(bits, packed, back)));
  RC_ASSERT(back == codes);
}

TEST(CodePacking, refusesWhatDoesNotFit) {
  EXPECT_EQ(packedCodeBytes(4, 7), std::nullopt);
  EXPECT_EQ(packedCodeBytes(3, 8), std::nullopt);
  EXPECT_EQ(packedCodeBytes(8, -1), std::nullopt);
  std::vector<uint8_t> codes(6);
  std::vector<std::byte> packed(4);
  EXPECT_EQ(packCodes(4, codes, packed).error().rule, "expected 3 bytes of packed codes, but got 4");
  EXPECT_EQ(unpackCodes(4, packed, codes).error().rule, "expected 3 bytes of packed codes, but got 4");
  EXPECT_EQ(packCodes(5, codes, packed).error().rule,
            "expected 8-bit codes or an even number of 4-bit codes, but got 6 codes of 5 bits");
  EXPECT_FALSE(packCodes(4, std::span(codes).first(5), packed));
}
