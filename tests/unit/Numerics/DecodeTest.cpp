// Decoding, to the bit against the `gguf` Python package (fixtures), and the plain formats against their definition.
#include "lib/Numerics/Decode.h"

#include "lib/Numerics/Float.h"
#include "tests/unit/Numerics/Fixtures.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace qopt;
using namespace qopt::test;

class DecodeBlocks : public testing::TestWithParam<ElementFormat> {};

TEST_P(DecodeBlocks, equalTheReferenceToTheBit) {
  const ElementFormatInfo &format = info(GetParam());
  FixtureCursor fixture(readFixture("decode_" + std::string(format.name) + ".bin"));
  uint32_t blocks = fixture.takeU32();
  ASSERT_GE(blocks, 16u);
  std::vector<std::byte> source = fixture.take<std::byte>(blocks * format.blockBytes);
  std::vector<uint32_t> wanted = fixture.take<uint32_t>(blocks * format.blockElements);
  ASSERT_TRUE(fixture.atEnd());

  // At an odd address: files promise no alignment.
  std::vector<std::byte> shifted(source.size() + 1);
  std::copy(source.begin(), source.end(), shifted.begin() + 1);
  std::vector<float> out(wanted.size(), NAN);
  decodeToF32(GetParam(), std::span<const std::byte>(shifted).subspan(1), out);
  for (size_t i = 0; i < wanted.size(); ++i)
    ASSERT_EQ(std::bit_cast<uint32_t>(out[i]), wanted[i]) << "element " << i;
}

INSTANTIATE_TEST_SUITE_P(Formats, DecodeBlocks,
                         testing::Values(ElementFormat::Q4_0, ElementFormat::Q4_1, ElementFormat::Q5_0,
                                         ElementFormat::Q5_1, ElementFormat::Q8_0, ElementFormat::Q6_K),
                         [](const auto &test) { return std::string(qopt::info(test.param).name); });

/// Decodes `values` as they lie in memory.
template <typename T> static std::vector<float> decode(ElementFormat format, const std::vector<T> &values) {
  std::vector<float> out(values.size(), NAN);
  decodeToF32(format, std::as_bytes(std::span(values)), out);
  return out;
}

TEST(Decode, plainFloats) {
  EXPECT_EQ(decode<float>(ElementFormat::F32, {1.5f, -0.1f, 1e-42f}), (std::vector<float>{1.5f, -0.1f, 1e-42f}));
  EXPECT_EQ(decode<uint16_t>(ElementFormat::F16, {0x3C00, 0xC000, 0x0001}),
            (std::vector<float>{1.0f, -2.0f, 0x1p-24f}));
  EXPECT_EQ(decode<uint16_t>(ElementFormat::BF16, {0x3F80, 0xC000, 0x0001}),
            (std::vector<float>{1.0f, -2.0f, 0x1p-133f}));
  // 1 + 2^-24 is a tie and goes to even; 1 + 3·2^-24 is one too.
  EXPECT_EQ(decode<double>(ElementFormat::F64, {0.1, 1 + 0x1p-24, 1 + 0x3p-24, 1e300}),
            (std::vector<float>{0.1f, 1.0f, 1 + 0x1p-22f, INFINITY}));
}

TEST(Decode, everyHalf) {
  std::vector<uint16_t> halves(0x10000);
  for (size_t i = 0; i < halves.size(); ++i)
    halves[i] = static_cast<uint16_t>(i);
  std::vector<float> out = decode(ElementFormat::F16, halves);
  for (size_t i = 0; i < halves.size(); ++i)
    ASSERT_EQ(std::bit_cast<uint32_t>(out[i]), std::bit_cast<uint32_t>(halfToFloat(halves[i]))) << i;
}

TEST(Decode, integersAreNotDecodable) {
  int decodable = 0;
  for (int i = 0; i < elementFormatCount; ++i)
    decodable += isDecodable(static_cast<ElementFormat>(i));
  EXPECT_EQ(decodable, 10);
  EXPECT_FALSE(isDecodable(ElementFormat::I8));
  EXPECT_FALSE(isDecodable(ElementFormat::Bool));
}

TEST(Decode, aWrongLengthWritesNothing) {
  std::vector<std::byte> source(36);
  std::vector<float> out(33, 7.0f);
  decodeToF32(ElementFormat::Q4_0, source, out);
  decodeToF32(ElementFormat::Q4_0, source, std::span(out).first(32));
  decodeToF32(ElementFormat::F32, source, out);
  EXPECT_EQ(out, std::vector<float>(33, 7.0f));
}
