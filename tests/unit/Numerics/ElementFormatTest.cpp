// Names and sizes of the element formats.
#include "lib/Numerics/ElementFormat.h"

#include <gtest/gtest.h>

#include <set>

using namespace qopt;

TEST(ElementFormat, namesAreDistinctAndParseBack) {
  std::set<std::string_view> names;
  for (int i = 0; i < elementFormatCount; ++i) {
    auto format = static_cast<ElementFormat>(i);
    EXPECT_TRUE(names.insert(info(format).name).second);
    EXPECT_EQ(parseElementFormat(info(format).name), format);
  }
  EXPECT_EQ(info(ElementFormat::Bool).name, "bool");
  EXPECT_EQ(info(ElementFormat::Q6_K).name, "q6_k");
  for (std::string_view wrong : {"", "F32", "f3", "f32 ", "q4_k"})
    EXPECT_EQ(parseElementFormat(wrong), std::nullopt) << wrong;
}

TEST(ElementFormat, storageBytesCountsWholeBlocks) {
  EXPECT_EQ(storageBytes(ElementFormat::F32, 3), 12u);
  EXPECT_EQ(storageBytes(ElementFormat::F64, 3), 24u);
  EXPECT_EQ(storageBytes(ElementFormat::BF16, 3), 6u);
  EXPECT_EQ(storageBytes(ElementFormat::I16, 3), 6u);
  EXPECT_EQ(storageBytes(ElementFormat::Bool, 3), 3u);
  EXPECT_EQ(storageBytes(ElementFormat::Q4_0, 64), 36u);
  EXPECT_EQ(storageBytes(ElementFormat::Q4_1, 64), 40u);
  EXPECT_EQ(storageBytes(ElementFormat::Q5_0, 64), 44u);
  EXPECT_EQ(storageBytes(ElementFormat::Q5_1, 64), 48u);
  EXPECT_EQ(storageBytes(ElementFormat::Q8_0, 64), 68u);
  EXPECT_EQ(storageBytes(ElementFormat::Q6_K, 512), 420u);
  EXPECT_EQ(storageBytes(ElementFormat::Q6_K, 0), 0u);
}

TEST(ElementFormat, storageBytesRefusesPartialBlocksAndOverflow) {
  EXPECT_EQ(storageBytes(ElementFormat::Q4_0, 33), std::nullopt);
  EXPECT_EQ(storageBytes(ElementFormat::Q6_K, 32), std::nullopt);
  EXPECT_EQ(storageBytes(ElementFormat::F32, UINT64_MAX / 4), UINT64_MAX / 4 * 4);
  EXPECT_EQ(storageBytes(ElementFormat::F32, UINT64_MAX / 4 + 1), std::nullopt);
  EXPECT_EQ(storageBytes(ElementFormat::Q8_0, UINT64_MAX - 31), std::nullopt);
}
