// Panels: an independent reader of the stream, written from the layout's description, against what packPanels wrote
// and what unpackElement finds.
#include "lib/Numerics/Panel.h"

#include "lib/Numerics/CodePacking.h"
#include "lib/Numerics/Float.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <random>

using namespace qopt;

namespace {

int impliedZero(PanelCode code) {
  switch (code) {
  case PanelCode::U2:
    return 2;
  case PanelCode::U3:
    return 4;
  case PanelCode::U4:
    return 8;
  case PanelCode::U5:
    return 16;
  case PanelCode::U6:
    return 32;
  default:
    return 128;
  }
}

/// Reads a stream of panels from its first byte to its last. The tables are the description's, written out.
class StreamReader {
public:
  StreamReader(const PanelLayout &layout, int64_t n, int64_t k, std::span<const std::byte> bytes)
      : layout(layout), k(k), paddedRows((n + 15) / 16 * 16), bytes(bytes) {
    auto count = static_cast<size_t>(paddedRows * k);
    codes.resize(count, 0xDEADBEEF);
    scales.resize(static_cast<size_t>(paddedRows * (k / layout.group)), NAN);
    zeros.resize(scales.size(), -1);
    for (int64_t panel = 0; panel < paddedRows / 16; ++panel)
      for (int64_t group = 0; group < k / layout.group; ++group)
        readGroup(panel * 16, group);
  }

  bool finished() const { return at == bytes.size(); }
  uint32_t code(int64_t row, int64_t column) const { return codes[static_cast<size_t>(row * k + column)]; }
  float scale(int64_t row, int64_t group) const { return scales[groupIndex(row, group)]; }
  int zero(int64_t row, int64_t group) const { return zeros[groupIndex(row, group)]; }

private:
  size_t groupIndex(int64_t row, int64_t group) const { return static_cast<size_t>(row * (k / layout.group) + group); }

  uint32_t readBytes(int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; ++i)
      value |= static_cast<uint32_t>(bytes[at++]) << (8 * i);
    return value;
  }

  void readGroup(int64_t firstRow, int64_t group) {
    int64_t end = (group + 1) * layout.group;
    for (int64_t column = group * layout.group; column < end;) {
      int64_t depth = 0;
      if (layout.code == PanelCode::U3 || layout.code == PanelCode::U5 || layout.code == PanelCode::U6) {
        column += readPlanes(firstRow, column);
        continue;
      }
      for (int64_t lane = 0; lane < 16; ++lane)
        depth = readSlice(&codes[static_cast<size_t>((firstRow + lane) * k + column)]);
      column += depth;
    }
    if (!layout.isQuantized())
      return;
    for (int64_t lane = 0; lane < 16; ++lane) {
      float &scale = scales[groupIndex(firstRow + lane, group)];
      if (layout.scale == ElementFormat::F32)
        scale = std::bit_cast<float>(readBytes(4));
      else if (layout.scale == ElementFormat::BF16)
        scale = std::bit_cast<float>(readBytes(2) << 16);
      else
        scale = halfToFloat(static_cast<uint16_t>(readBytes(2)));
    }
    bool narrow = layout.code == PanelCode::U2 || layout.code == PanelCode::U3 || layout.code == PanelCode::U4;
    if (layout.zeroPoints && narrow) {
      for (int64_t lane = 0; lane < 8; ++lane) {
        uint32_t both = readBytes(1);
        zeros[groupIndex(firstRow + lane, group)] = static_cast<int>(both & 15);
        zeros[groupIndex(firstRow + 8 + lane, group)] = static_cast<int>(both >> 4);
      }
      return;
    }
    for (int64_t lane = 0; lane < 16; ++lane)
      zeros[groupIndex(firstRow + lane, group)] =
          layout.zeroPoints ? static_cast<int>(readBytes(1)) : impliedZero(layout.code);
  }

  /// What one lane owns of a block → to[k offset]; returns how many k that is.
  int64_t readSlice(uint32_t *to) {
    if (layout.code == PanelCode::U2) {
      readPairs(to);
      return 16;
    }
    if (layout.code == PanelCode::U4) {
      readNibbles(to);
      return 8;
    }
    int size = layout.code == PanelCode::U8 ? 1 : layout.code == PanelCode::F32 ? 4 : 2;
    for (int offset = 0; offset < layout.dot; ++offset)
      to[offset] = readBytes(size);
    return layout.dot;
  }

  /// Halves of bytes of one word → 8 codes.
  void readNibbles(uint32_t *to) {
    static const int offsetOfNibble[3][8] = {
        {0, 1, 2, 3, 4, 5, 6, 7}, // dot 1
        {0, 2, 4, 6, 1, 3, 5, 7}, // dot 2
        {0, 4, 1, 5, 2, 6, 3, 7}, // dot 4
    };
    uint32_t word = readBytes(4);
    for (int nibble = 0; nibble < 8; ++nibble)
      to[offsetOfNibble[layout.dot / 2][nibble]] = word >> (4 * nibble) & 15;
  }

  /// Pairs of bits of one word → 16 codes.
  void readPairs(uint32_t *to) {
    static const int offsetOfPair[3][16] = {
        {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, // dot 1
        {0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15}, // dot 2
        {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15}, // dot 4
    };
    uint32_t word = readBytes(4);
    for (int pair = 0; pair < 16; ++pair)
      to[offsetOfPair[layout.dot / 2][pair]] = word >> (2 * pair) & 3;
  }

  /// A block of codes of 3, 5 or 6 bits of 16 rows, plane by plane; returns how many inputs that is.
  int64_t readPlanes(int64_t firstRow, int64_t column) {
    static const int offsetOfBit[3][32] = {
        {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
         16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31}, // dot 1
        {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30,
         1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31}, // dot 2
        {0, 4, 8,  12, 16, 20, 24, 28, 1, 5, 9,  13, 17, 21, 25, 29,
         2, 6, 10, 14, 18, 22, 26, 30, 3, 7, 11, 15, 19, 23, 27, 31}, // dot 4
    };
    auto start = [&](int64_t lane) { return &codes[static_cast<size_t>((firstRow + lane) * k + column)]; };
    if (layout.code == PanelCode::U6) {
      for (int64_t first : {0, 8})
        for (int64_t lane = 0; lane < 16; ++lane)
          readNibbles(start(lane) + first);
      for (int64_t lane = 0; lane < 16; ++lane) {
        uint32_t high[16];
        readPairs(high);
        for (int input = 0; input < 16; ++input)
          start(lane)[input] |= high[input] << 4;
      }
      return 16;
    }
    bool three = layout.code == PanelCode::U3;
    for (int64_t first = 0; first < 32; first += three ? 16 : 8)
      for (int64_t lane = 0; lane < 16; ++lane)
        three ? readPairs(start(lane) + first) : readNibbles(start(lane) + first);
    for (int64_t lane = 0; lane < 16; ++lane) {
      uint32_t word = readBytes(4);
      for (int bit = 0; bit < 32; ++bit)
        start(lane)[offsetOfBit[layout.dot / 2][bit]] |= (word >> bit & 1) << (three ? 2 : 4);
    }
    return 32;
  }

  PanelLayout layout;
  int64_t k, paddedRows;
  std::span<const std::byte> bytes;
  size_t at = 0;
  std::vector<uint32_t> codes;
  std::vector<float> scales;
  std::vector<int> zeros;
};

/// Random quantized weights in archive form.
struct RandomWeights {
  std::vector<uint8_t> codes;
  std::vector<std::byte> packed, scales;
  std::vector<uint8_t> zeros;
  PackedWeightsView view() const { return {packed, scales, zeros}; }
};

RandomWeights randomWeights(const PanelLayout &layout, int64_t n, int64_t k, uint32_t seed) {
  std::mt19937 random(seed);
  RandomWeights weights;
  uint32_t mask = (1u << layout.codeBits()) - 1;
  weights.codes.resize(static_cast<size_t>(n * k));
  for (uint8_t &code : weights.codes)
    code = static_cast<uint8_t>(random() & mask);
  weights.packed.resize(static_cast<size_t>(n * k * layout.codeBits() / 8));
  EXPECT_TRUE(packCodes(layout.codeBits(), weights.codes, weights.packed));
  auto groups = static_cast<size_t>(n * (k / layout.group));
  size_t scaleBytes = info(layout.scale).blockBytes;
  weights.scales.resize(groups * scaleBytes);
  for (size_t i = 0; i < groups; ++i)
    storeScale(layout.scale, 0.001f + static_cast<float>(random() % 1000) / 1000, &weights.scales[i * scaleBytes]);
  weights.zeros.resize(layout.zeroPoints ? groups : 0);
  for (uint8_t &zero : weights.zeros)
    zero = static_cast<uint8_t>(random() & mask);
  return weights;
}

std::vector<std::byte> poisoned(int64_t bytes) {
  return std::vector<std::byte>(static_cast<size_t>(bytes), std::byte{0xA5});
}

/// Packs random weights and reads them back both ways.
void checkQuantized(const PanelLayout &layout, int64_t n, int64_t k, uint32_t seed) {
  SCOPED_TRACE(testing::Message() << panelCodeName(layout.code) << " dot " << layout.dot << " group " << layout.group
                                  << " zeros " << layout.zeroPoints << " [" << n << ", " << k << "]");
  Status valid = layout.validate(n, k);
  ASSERT_TRUE(valid) << valid.error().rule;
  RandomWeights weights = randomWeights(layout, n, k, seed);
  std::vector<std::byte> out = poisoned(layout.totalBytes(n, k));
  Status status = packPanels(layout, n, k, weights.view(), out);
  ASSERT_TRUE(status) << status.error().rule;

  StreamReader reader(layout, n, k, out);
  ASSERT_TRUE(reader.finished());
  int64_t groups = k / layout.group;
  size_t scaleBytes = info(layout.scale).blockBytes;
  for (int64_t row = 0; row < (n + 15) / 16 * 16; ++row)
    for (int64_t column = 0; column < k; ++column) {
      int64_t group = column / layout.group;
      auto index = static_cast<size_t>(row * groups + group);
      bool exists = row < n;
      int zero = !layout.zeroPoints ? impliedZero(layout.code) : exists ? weights.zeros[index] : 0;
      float scale = exists ? loadScale(layout.scale, &weights.scales[index * scaleBytes]) : 0.0f;
      auto code = exists ? weights.codes[static_cast<size_t>(row * k + column)] : static_cast<uint8_t>(zero);
      ASSERT_EQ(reader.code(row, column), code) << row << ", " << column;
      ASSERT_EQ(reader.scale(row, group), scale) << row << ", " << column;
      ASSERT_EQ(reader.zero(row, group), zero) << row << ", " << column;
      PanelElement element = unpackElement(layout, k, out, row, column);
      ASSERT_EQ(element.code, code) << row << ", " << column;
      ASSERT_EQ(element.scale, scale) << row << ", " << column;
      ASSERT_EQ(element.zero, zero) << row << ", " << column;
      ASSERT_EQ(element.value, scale * static_cast<float>(code - zero)) << row << ", " << column;
    }
}

PanelLayout quantizedLayout(int bits, int dot, int64_t group, bool zeroPoints, ElementFormat scale) {
  static const std::map<int, PanelCode> codes = {{2, PanelCode::U2}, {3, PanelCode::U3}, {4, PanelCode::U4},
                                                 {5, PanelCode::U5}, {6, PanelCode::U6}, {8, PanelCode::U8}};
  return {16, dot, codes.at(bits), group, scale, zeroPoints};
}

/// Packs random numbers and reads them back both ways.
void checkFloats(PanelCode code, int64_t n, int64_t k) {
  SCOPED_TRACE(testing::Message() << panelCodeName(code) << " [" << n << ", " << k << "]");
  PanelLayout layout = PanelLayout::unquantized(code, k);
  Status valid = layout.validate(n, k);
  ASSERT_TRUE(valid) << valid.error().rule;
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0, 0.02f);
  std::vector<float> weights(static_cast<size_t>(n * k));
  for (float &weight : weights)
    weight = normal(random);
  std::vector<std::byte> out = poisoned(layout.totalBytes(n, k));
  Status status = packPanels(layout, n, k, weights, out);
  ASSERT_TRUE(status) << status.error().rule;
  StreamReader reader(layout, n, k, out);
  ASSERT_TRUE(reader.finished());
  for (int64_t row = 0; row < (n + 15) / 16 * 16; ++row)
    for (int64_t column = 0; column < k; ++column) {
      float weight = row < n ? weights[static_cast<size_t>(row * k + column)] : 0.0f;
      uint32_t bits = code == PanelCode::F32   ? std::bit_cast<uint32_t>(weight)
                      : code == PanelCode::F16 ? floatToHalf(weight)
                                               : floatToBfloat16(weight);
      ASSERT_EQ(reader.code(row, column), bits) << row << ", " << column;
      PanelElement element = unpackElement(layout, k, out, row, column);
      ASSERT_EQ(element.code, bits) << row << ", " << column;
      float rounded = code == PanelCode::F32   ? weight
                      : code == PanelCode::F16 ? halfToFloat(floatToHalf(weight))
                                               : bfloat16ToFloat(floatToBfloat16(weight));
      ASSERT_EQ(element.value, rounded) << row << ", " << column;
    }
}

} // namespace

TEST(Panel, quantizedWeightsComeBackFromEveryLayout) {
  uint32_t seed = 1;
  for (int bits : {2, 3, 4, 5, 6, 8})
    for (int dot : {1, 2, 4})
      for (bool zeroPoints : {false, true})
        for (ElementFormat scale : {ElementFormat::F16, ElementFormat::BF16, ElementFormat::F32})
          for (auto [n, k, group] : {std::array<int64_t, 3>{1, 32, 32},
                                     {15, 64, 32},
                                     {16, 64, 64},
                                     {17, 192, 64},
                                     {40, 96, 32},
                                     {33, 576, 576}})
            checkQuantized(quantizedLayout(bits, dot, group, zeroPoints, scale), n, k, seed++);
}

RC_GTEST_PROP(Panel, quantizedWeightsComeBackFromAnyShape, ()) {
  int dot = *rc::gen::element(1, 2, 4), bits = *rc::gen::element(2, 3, 4, 5, 6, 8);
  int64_t depth = bits == 8 ? dot : bits == 4 ? 8 : bits % 2 == 0 ? 16 : 32;
  int64_t group = depth * *rc::gen::inRange<int64_t>(1, 12), k = group * *rc::gen::inRange<int64_t>(1, 5);
  int64_t n = *rc::gen::inRange<int64_t>(1, 50);
  checkQuantized(quantizedLayout(bits, dot, group, *rc::gen::arbitrary<bool>(), ElementFormat::F16), n, k,
                 *rc::gen::arbitrary<uint32_t>());
  RC_ASSERT(!testing::Test::HasFailure());
}

TEST(Panel, floatsComeBack) {
  for (PanelCode code : {PanelCode::F32, PanelCode::F16, PanelCode::BF16})
    for (auto [n, k] : {std::array<int64_t, 2>{1, 2}, {16, 128}, {17, 130}, {35, 576}})
      checkFloats(code, n, k);
  checkFloats(PanelCode::F32, 3, 7);
  checkFloats(PanelCode::F16, 3, 129);
}

TEST(Panel, theFirstBlockIsTheOneDescribed) {
  // One row, codes 1..8 at k = 0..7: the dwords spelled out by hand.
  std::vector<std::byte> codes = {std::byte{0x21}, std::byte{0x43}, std::byte{0x65}, std::byte{0x87}};
  std::vector<std::byte> scales = {std::byte{0x00}, std::byte{0x3C}};
  for (auto [dot, wanted] : {std::pair{4, 0x84736251u}, {2, 0x86427531u}, {1, 0x87654321u}}) {
    PanelLayout layout = quantizedLayout(4, dot, 8, false, ElementFormat::F16);
    std::vector<std::byte> out = poisoned(layout.totalBytes(1, 8));
    ASSERT_EQ(out.size(), 64u + 32u);
    ASSERT_TRUE(packPanels(layout, 1, 8, {codes, scales, {}}, out));
    uint32_t words[16];
    std::memcpy(words, out.data(), sizeof words);
    EXPECT_EQ(words[0], wanted) << "dot " << dot;
    for (int lane = 1; lane < 16; ++lane)
      EXPECT_EQ(words[lane], 0x88888888u);
    EXPECT_EQ(out[65], std::byte{0x3C});
    EXPECT_EQ(out[67], std::byte{0});
  }
}

TEST(Panel, narrowBlocksAreTheOnesDescribed) {
  // One row. 2 bits: codes 0, 1, 2, 3 and again. 3 bits: codes 0 to 7 and again, so that inputs 0 to 15 and 16 to 31
  // have the same low bits.
  std::vector<std::byte> two(4, std::byte{0xE4}), scales = {std::byte{0x00}, std::byte{0x3C}}, three;
  for (int i = 0; i < 4; ++i)
    for (int byte : {0x88, 0xC6, 0xFA})
      three.push_back(static_cast<std::byte>(byte));
  struct Words {
    int dot;
    uint32_t low, high;
  };
  for (Words wanted :
       {Words{4, 0xFFAA5500u, 0xAAAAAAAAu}, {2, 0xDDDD8888u, 0xCCCCCCCCu}, {1, 0xE4E4E4E4u, 0xF0F0F0F0u}})
    for (bool zeroPoints : {false, true}) {
      SCOPED_TRACE(testing::Message() << "dot " << wanted.dot << " zeros " << zeroPoints);
      std::vector<uint8_t> zeros(zeroPoints ? 1 : 0);
      auto wordsOf = [&](int bits, int64_t k, std::span<const std::byte> codes) {
        PanelLayout layout = quantizedLayout(bits, wanted.dot, k, zeroPoints, ElementFormat::F16);
        std::vector<std::byte> out = poisoned(layout.totalBytes(1, k));
        EXPECT_TRUE(packPanels(layout, 1, k, {codes, scales, zeros}, out));
        std::vector<uint32_t> words(static_cast<size_t>(layout.blockBytes()) / 4);
        std::memcpy(words.data(), out.data(), static_cast<size_t>(layout.blockBytes()));
        return words;
      };
      std::vector<uint32_t> pairs = wordsOf(2, 16, two), planes = wordsOf(3, 32, three);
      ASSERT_EQ(pairs.size(), 16u);
      ASSERT_EQ(planes.size(), 48u);
      EXPECT_EQ(pairs[0], wanted.low);
      EXPECT_EQ(planes[0], wanted.low);
      EXPECT_EQ(planes[16], wanted.low);
      EXPECT_EQ(planes[32], wanted.high);
      for (size_t lane = 1; lane < 16; ++lane) {
        EXPECT_EQ(pairs[lane], zeroPoints ? 0 : 0xAAAAAAAAu);
        EXPECT_EQ(planes[lane], 0u);
        EXPECT_EQ(planes[16 + lane], 0u);
        EXPECT_EQ(planes[32 + lane], zeroPoints ? 0 : 0xFFFFFFFFu);
      }
    }
}

TEST(Panel, panelsDoNotDependOnTheSplit) {
  constexpr int64_t n = 50, k = 128;
  PanelLayout layout = quantizedLayout(4, 4, 64, true, ElementFormat::F16);
  RandomWeights weights = randomWeights(layout, n, k, 3);
  std::vector<std::byte> whole = poisoned(layout.totalBytes(n, k)), parts = whole;
  ASSERT_TRUE(packPanels(layout, n, k, weights.view(), whole));
  PackedWeightsView all = weights.view();
  auto cut = static_cast<size_t>(2 * layout.panelBytes(k));
  ASSERT_TRUE(packPanels(layout, 32, k,
                         {all.codes.first(32 * k / 2), all.scales.first(32 * 2 * 2), all.zeros.first(32 * 2)},
                         std::span(parts).first(cut)));
  ASSERT_TRUE(packPanels(layout, 18, k,
                         {all.codes.subspan(32 * k / 2), all.scales.subspan(32 * 2 * 2), all.zeros.subspan(32 * 2)},
                         std::span(parts).subspan(cut)));
  EXPECT_EQ(parts, whole);
}

TEST(Panel, sizesAreTheStated) {
  PanelLayout layout = PanelLayout::quantized({4, false, 64, ElementFormat::F16}, 4, 576);
  EXPECT_EQ(layout, quantizedLayout(4, 4, 64, true, ElementFormat::F16));
  EXPECT_EQ(layout.blockDepth(), 8);
  EXPECT_EQ(layout.blockBytes(), 64);
  EXPECT_EQ(layout.groupBytes(), 8 * 64 + 32 + 8);
  EXPECT_EQ(layout.panelBytes(576), 9 * 552);
  EXPECT_EQ(layout.totalBytes(577, 576), 37 * 9 * 552);
  EXPECT_EQ(PanelLayout::quantized({8, false, 64, ElementFormat::F16}, 4, 576).groupBytes(), 16 * 64 + 32 + 16);
  for (auto [bits, depth, bytes] : {std::array<int, 3>{2, 16, 64}, {3, 32, 192}, {5, 32, 320}, {6, 16, 192}}) {
    PanelLayout narrow = PanelLayout::quantized({bits, true, 64, ElementFormat::F16}, 2, 576);
    EXPECT_EQ(narrow, quantizedLayout(bits, 2, 64, false, ElementFormat::F16));
    EXPECT_EQ(narrow.blockDepth(), depth);
    EXPECT_EQ(narrow.blockBytes(), bytes);
    EXPECT_EQ(narrow.totalBytes(16, 576), 9 * (16 * 64 * bits / 8 + 32));
    EXPECT_EQ(narrow.impliedZero(), 1 << (bits - 1));
  }
  for (int bits : {5, 6}) // with zero points of a byte
    EXPECT_EQ(PanelLayout::quantized({bits, false, 64, ElementFormat::F16}, 4, 576).groupBytes(),
              16 * 64 * bits / 8 + 32 + 16);
  PanelLayout perRow = PanelLayout::quantized({8, true, 0, ElementFormat::F32}, 2, 576);
  EXPECT_EQ(perRow.group, 576);
  EXPECT_EQ(perRow.blockBytes(), 32);
  EXPECT_EQ(perRow.groupBytes(), 288 * 32 + 64);
  EXPECT_EQ(PanelLayout::unquantized(PanelCode::BF16, 576).totalBytes(16, 576), 16 * 576 * 2);
  EXPECT_EQ(PanelLayout::unquantized(PanelCode::F16, 576).blockBytes(), 32);
  EXPECT_EQ(PanelLayout::unquantized(PanelCode::F32, 576).blockBytes(), 64);
}

TEST(Panel, validateNamesWhatIsWrong) {
  const PanelLayout good = quantizedLayout(4, 4, 64, false, ElementFormat::F16);
  ASSERT_TRUE(good.validate(1, 64));
  auto rule = [](const PanelLayout &layout, int64_t n, int64_t k) {
    Status status = layout.validate(n, k);
    return status ? std::string() : status.error().rule;
  };
  PanelLayout layout = good;
  layout.rows = 8;
  EXPECT_EQ(rule(layout, 1, 64), "expected panels of 16 rows, but got 8");
  layout = good;
  layout.dot = 3;
  EXPECT_EQ(rule(layout, 1, 64), "expected a dot width that panels of u4 have, but got 3");
  layout = PanelLayout::unquantized(PanelCode::BF16, 64);
  layout.dot = 1;
  EXPECT_EQ(rule(layout, 1, 64), "expected a dot width that panels of bf16 have, but got 1");
  layout = good;
  layout.scale = ElementFormat::I8;
  EXPECT_EQ(rule(layout, 1, 64), "expected scales in f16, bf16 or f32, but got i8");
  EXPECT_EQ(rule(good, 0, 64), "expected weights of at least one row and column, but got 0 by 64");
  EXPECT_EQ(rule(good, 1, 96), "expected a group that divides the row, but 64 does not divide 96");
  layout = good;
  layout.group = 12;
  EXPECT_EQ(rule(layout, 1, 48), "expected a group that is a multiple of 8, the depth of a block of u4, but got 12");
  EXPECT_EQ(rule(quantizedLayout(2, 4, 24, false, ElementFormat::F16), 1, 48),
            "expected a group that is a multiple of 16, the depth of a block of u2, but got 24");
  EXPECT_EQ(rule(quantizedLayout(3, 4, 48, false, ElementFormat::F16), 1, 48),
            "expected a group that is a multiple of 32, the depth of a block of u3, but got 48");
  EXPECT_EQ(rule(quantizedLayout(5, 4, 48, false, ElementFormat::F16), 1, 48),
            "expected a group that is a multiple of 32, the depth of a block of u5, but got 48");
  EXPECT_EQ(rule(quantizedLayout(6, 4, 24, false, ElementFormat::F16), 1, 48),
            "expected a group that is a multiple of 16, the depth of a block of u6, but got 24");
  layout.group = 0;
  EXPECT_EQ(rule(layout, 1, 48), "expected a group that divides the row, but 0 does not divide 48");
  EXPECT_EQ(rule(PanelLayout::unquantized(PanelCode::BF16, 63), 1, 63),
            "expected a group that is a multiple of 2, the depth of a block of bf16, but got 63");
  layout = PanelLayout::unquantized(PanelCode::F32, 32);
  EXPECT_EQ(rule(layout, 1, 64),
            "expected unquantized panels to have one group and no zero points, but got a group of 32 in rows of 64");
  layout.zeroPoints = true;
  EXPECT_EQ(rule(layout, 1, 32),
            "expected unquantized panels to have one group and no zero points, but got a group of 32 in rows of 32 "
            "with zero points");
  EXPECT_EQ(rule(good, INT64_MAX, 64), "expected less than 2^62 bytes, but got weights of 9223372036854775807 by 64");
  EXPECT_EQ(rule(PanelLayout::unquantized(PanelCode::F32, INT64_MAX), 1, INT64_MAX),
            "expected less than 2^62 bytes, but got weights of 1 by 9223372036854775807");
}

TEST(Panel, spansMustFit) {
  PanelLayout layout = quantizedLayout(4, 4, 64, true, ElementFormat::F16);
  RandomWeights weights = randomWeights(layout, 2, 64, 5);
  std::vector<std::byte> out = poisoned(layout.totalBytes(2, 64));
  PackedWeightsView view = weights.view();
  auto rule = [&](PackedWeightsView view, std::span<std::byte> out) {
    Status status = packPanels(layout, 2, 64, view, out);
    return status ? std::string() : status.error().rule;
  };
  EXPECT_EQ(rule(view, out), "");
  EXPECT_EQ(rule({view.codes.first(63), view.scales, view.zeros}, out), "expected 64 bytes of codes, but got 63");
  EXPECT_EQ(rule({view.codes, view.scales.first(2), view.zeros}, out), "expected 4 bytes of scales, but got 2");
  EXPECT_EQ(rule({view.codes, view.scales, {}}, out), "expected 2 zero points, but got 0");
  EXPECT_EQ(rule(view, std::span(out).first(551)), "expected 552 bytes of panels, but got 551");
  std::vector<uint8_t> wide(view.zeros.begin(), view.zeros.end());
  wide[1] = 16;
  EXPECT_EQ(rule({view.codes, view.scales, wide}, out), "expected zero points that are codes of 4 bits, but got 16");
  std::vector<float> floats(2 * 64);
  EXPECT_EQ(packPanels(layout, 2, 64, floats, out).error().rule,
            "expected a layout of unquantized weights, but got u4");
  PanelLayout plain = PanelLayout::unquantized(PanelCode::F32, 64);
  EXPECT_EQ(packPanels(plain, 2, 64, view, out).error().rule, "expected a layout of quantized weights, but got f32");
  EXPECT_EQ(packPanels(plain, 2, 64, std::span(floats).first(127), out).error().rule,
            "expected 128 weights, but got 127");
  EXPECT_EQ(packPanels(plain, 2, 64, floats, out).error().rule, "expected 4096 bytes of panels, but got 552");
}

TEST(Panel, weightsThatAreNotFiniteAreNamed) {
  for (PanelCode code : {PanelCode::F32, PanelCode::F16, PanelCode::BF16})
    for (float bad : {NAN, INFINITY, -INFINITY}) {
      PanelLayout layout = PanelLayout::unquantized(code, 200);
      std::vector<float> weights(18 * 200, 0.5f);
      weights[17 * 200 + 150] = bad;
      std::vector<std::byte> out = poisoned(layout.totalBytes(18, 200));
      Status status = packPanels(layout, 18, 200, weights, out, 100);
      ASSERT_FALSE(status);
      EXPECT_EQ(status.error().where, "row 117, column 150");
    }
  // Finite in f32, but not in f16.
  PanelLayout layout = PanelLayout::unquantized(PanelCode::F16, 2);
  std::vector<std::byte> out = poisoned(layout.totalBytes(1, 2));
  Status status = packPanels(layout, 1, 2, std::vector<float>{1.0f, 70000.0f}, out);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().rule, "expected weights that are finite in f16, but got 70000");
}
