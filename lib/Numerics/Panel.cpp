// Moving weights into panels.
//
// Whatever the code, a block gives each of its 16 rows one word (8 codes of 4 bits, 16 of 2, `dot` bytes, two bf16, one
// float), and the words of a row follow each other in the source. So packing is the transposition of words, with narrow
// codes permuted inside their word on the way. Codes of 3, 5 and 6 bits are first cut into the words of their planes.
#include "lib/Numerics/Panel.h"

#include "lib/Numerics/CodeBits.h"
#include "lib/Numerics/Float.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace qopt {

static_assert(std::endian::native == std::endian::little, "words of codes are little-endian");

namespace {

constexpr int panelRows = 16;

/// Rows of one panel that exist, and where they start in the source.
struct RowPointers {
  const std::byte *row[panelRows];
  int count; ///< 1 to 16
};

struct KeepOrder {
  template <typename Word> Word operator()(Word word) const { return word; }
};

/// The order of a block of codes: unit e·(units/dot) + s of a word holds what was unit s·dot + e, of `bits` each. That
/// rotates the bits of a unit's number right by log2(dot), or left by what is missing, one place at a time.
template <int bits, int dot> struct StepOrder {
  static constexpr int numberBits = std::countr_zero(32u / bits), right = std::countr_zero(unsigned{dot});
  static constexpr bool isLeftShorter = numberBits - right < right;

  /// Within every four parts of `part` bits, swaps the two in the middle.
  template <int part> static uint32_t swapMiddle(uint32_t word) {
    constexpr auto mask = static_cast<uint32_t>(lowBits(16 / part, part) << part);
    uint32_t swap = (word ^ (word >> part)) & mask;
    return word ^ swap ^ (swap << part);
  }
  template <int part> static uint32_t rotateRight(uint32_t word) {
    if constexpr (part > 8)
      return word;
    else
      return rotateRight<2 * part>(swapMiddle<part>(word));
  }
  template <int part> static uint32_t rotateLeft(uint32_t word) {
    if constexpr (part < bits)
      return word;
    else
      return rotateLeft<part / 2>(swapMiddle<part>(word));
  }
  uint32_t operator()(uint32_t word) const {
    for (int place = 0; place < (isLeftShorter ? numberBits - right : right); ++place)
      word = isLeftShorter ? rotateLeft<8>(word) : rotateRight<bits>(word);
    return word;
  }
};

/// out : [blocks, 16] words = order(word `block` of row r); `fill` in every byte of rows that do not exist.
template <typename Word, typename Order>
void transposeWords(const RowPointers &rows, int64_t blocks, uint8_t fill, std::byte *out, Order order = {}) {
  if (rows.count < panelRows)
    std::memset(out, fill, static_cast<size_t>(blocks) * panelRows * sizeof(Word));
  auto move = [&](int64_t block, int r) {
    Word word;
    std::memcpy(&word, rows.row[r] + static_cast<size_t>(block) * sizeof(Word), sizeof word);
    word = order(word);
    std::memcpy(out + (static_cast<size_t>(block) * panelRows + static_cast<size_t>(r)) * sizeof(Word), &word,
                sizeof word);
  };
  if (rows.count == panelRows) {
    for (int64_t block = 0; block < blocks; ++block)
      for (int r = 0; r < panelRows; ++r)
        move(block, r);
    return;
  }
  for (int64_t block = 0; block < blocks; ++block)
    for (int r = 0; r < rows.count; ++r)
      move(block, r);
}

/// The code blocks of one group of rows whose codes lie in two planes: their `low` bits as blocks of codes of so many
/// bits, then the `high` bits above, which one word holds of all inputs of the block.
template <int low, int high, int dot>
void packPlanes(const RowPointers &rows, int64_t blocks, bool storedZeros, std::byte *out) {
  constexpr int bits = low + high, eights = 32 / high / 8, lowWords = low / high;
  constexpr StepOrder<low, dot> lowOrder;
  constexpr StepOrder<high, dot> highOrder;
  // The high bits of implied zero points: of each the highest is 1.
  constexpr uint8_t impliedZeros = high == 1 ? 0xFF : 0xAA;
  for (int64_t block = 0; block < blocks; ++block) {
    uint32_t words[lowWords + 1][panelRows];
    std::memset(words, 0, sizeof words);
    std::memset(words[lowWords], storedZeros ? 0 : impliedZeros, sizeof words[lowWords]);
    for (int r = 0; r < rows.count; ++r) {
      const std::byte *codes = rows.row[r] + block * eights * bits;
      std::byte lows[lowWords * 4], highs[4];
      for (int eight = 0; eight < eights; ++eight) {
        uint64_t word = 0;
        std::memcpy(&word, codes + bits * eight, bits);
        word = spreadCodes<bits>(word);
        uint64_t lowCodes = gatherCodes<low>(word), highCodes = gatherCodes<high>(word >> low);
        std::memcpy(lows + low * eight, &lowCodes, low);
        std::memcpy(highs + high * eight, &highCodes, high);
      }
      auto wordAt = [](const std::byte *from) {
        uint32_t word = 0;
        std::memcpy(&word, from, sizeof word);
        return word;
      };
      for (int word = 0; word < lowWords; ++word)
        words[word][r] = lowOrder(wordAt(lows + 4 * word));
      words[lowWords][r] = highOrder(wordAt(highs));
    }
    std::memcpy(out, words, sizeof words);
    out += sizeof words;
  }
}

/// The code blocks of one group of quantized rows.
template <int dot> void packCodeBlocks(const PanelLayout &layout, const RowPointers &rows, std::byte *out) {
  int64_t blocks = layout.group / layout.blockDepth();
  auto fill = [&](uint8_t impliedZeros) { return layout.zeroPoints ? uint8_t{0} : impliedZeros; };
  if (layout.code == PanelCode::U2)
    transposeWords<uint32_t, StepOrder<2, dot>>(rows, blocks, fill(0xAA), out);
  else if (layout.code == PanelCode::U3)
    packPlanes<2, 1, dot>(rows, blocks, layout.zeroPoints, out);
  else if (layout.code == PanelCode::U5)
    packPlanes<4, 1, dot>(rows, blocks, layout.zeroPoints, out);
  else if (layout.code == PanelCode::U6)
    packPlanes<4, 2, dot>(rows, blocks, layout.zeroPoints, out);
  else if (layout.code == PanelCode::U4)
    transposeWords<uint32_t, StepOrder<4, dot>>(rows, blocks, fill(0x88), out);
  else if (dot == 4)
    transposeWords<uint32_t, KeepOrder>(rows, blocks, fill(0x80), out);
  else if (dot == 2)
    transposeWords<uint16_t, KeepOrder>(rows, blocks, fill(0x80), out);
  else
    transposeWords<uint8_t, KeepOrder>(rows, blocks, fill(0x80), out);
}

Status checkSize(const char *what, size_t size, int64_t wanted) {
  if (size == static_cast<size_t>(wanted))
    return {};
  return badInput("expected " + std::to_string(wanted) + " " + what + ", but got " + std::to_string(size));
}

/// Columns that are converted at once, so that a tile of 16 rows stays in the first cache.
constexpr int64_t tileColumns = 128;

/// values : [count] → to, as bits of the code's format. False if one is not finite, before or after.
template <typename Word, typename Convert>
bool convertRow(const float *values, int64_t count, Word infinity, Convert convert, Word *to) {
  constexpr Word magnitudeMask = static_cast<Word>(static_cast<Word>(~Word{0}) >> 1);
  Word greatest = 0;
  for (int64_t i = 0; i < count; ++i) {
    to[i] = convert(values[i]);
    greatest = std::max(greatest, static_cast<Word>(to[i] & magnitudeMask));
  }
  return greatest < infinity;
}

/// One panel of unquantized rows: `rows` values of k columns each, from `weights`. False if a value is not finite.
template <typename Element, typename Word, typename Convert>
bool packFloatPanel(const float *weights, int rows, int64_t k, Element infinity, Convert convert, std::byte *out) {
  alignas(64) Element tile[panelRows][tileColumns];
  RowPointers pointers{{}, rows};
  for (int r = 0; r < rows; ++r)
    pointers.row[r] = reinterpret_cast<const std::byte *>(tile[r]);
  for (int64_t first = 0; first < k; first += tileColumns) {
    int64_t count = std::min(tileColumns, k - first);
    for (int r = 0; r < rows; ++r)
      if (!convertRow<Element>(weights + r * k + first, count, infinity, convert, tile[r]))
        return false;
    int64_t blocks = count * static_cast<int64_t>(sizeof(Element)) / static_cast<int64_t>(sizeof(Word));
    transposeWords<Word, KeepOrder>(pointers, blocks, 0, out);
    out += static_cast<size_t>(blocks) * panelRows * sizeof(Word);
  }
  return true;
}

/// The value that `code` keeps of `value`.
float roundToCode(PanelCode code, float value) {
  if (code == PanelCode::F16)
    return halfToFloat(floatToHalf(value));
  return code == PanelCode::BF16 ? bfloat16ToFloat(floatToBfloat16(value)) : value;
}

/// Names the first weight of a panel that cannot be kept.
Error notFinite(const PanelLayout &layout, std::span<const float> panel, int64_t k, int64_t firstRow) {
  size_t at = 0;
  while (at + 1 < panel.size() && std::isfinite(roundToCode(layout.code, panel[at])))
    ++at;
  char value[32];
  std::snprintf(value, sizeof value, "%g", static_cast<double>(panel[at]));
  return badInput("expected weights that are finite in " + std::string(panelCodeName(layout.code)) + ", but got " +
                      value,
                  "row " + std::to_string(firstRow + static_cast<int64_t>(at) / k) + ", column " +
                      std::to_string(static_cast<int64_t>(at) % k));
}

} // namespace

/// `zeros` are those of a group, 0 as yet.
static void storeZero(const PanelLayout &layout, std::byte *zeros, int64_t row, uint8_t zero) {
  if (zeroPointBits(layout.codeBits()) == 8)
    zeros[row] = std::byte{zero};
  else
    zeros[row % 8] |= std::byte(zero << (row < 8 ? 0 : 4));
}

static int loadZero(const PanelLayout &layout, const std::byte *zeros, int64_t row) {
  if (zeroPointBits(layout.codeBits()) == 8)
    return static_cast<int>(zeros[row]);
  return static_cast<int>(zeros[row % 8]) >> (row < 8 ? 0 : 4) & 15;
}

Status packPanels(const PanelLayout &layout, int64_t n, int64_t k, const PackedWeightsView &weights,
                  std::span<std::byte> out) {
  if (Status status = layout.validate(n, k); !status)
    return status;
  if (!layout.isQuantized())
    return badInput("expected a layout of quantized weights, but got " + std::string(panelCodeName(layout.code)));
  int64_t groups = k / layout.group, scaleBytes = info(layout.scale).blockBytes;
  int64_t rowBytes = k * layout.codeBits() / 8;
  int64_t groupRowBytes = layout.group * layout.codeBits() / 8;
  for (Status status : {checkSize("bytes of codes", weights.codes.size(), n * rowBytes),
                        checkSize("bytes of scales", weights.scales.size(), n * groups * scaleBytes),
                        checkSize("zero points", weights.zeros.size(), layout.zeroPoints ? n * groups : 0),
                        checkSize("bytes of panels", out.size(), layout.totalBytes(n, k))})
    if (!status)
      return status;

  auto worst = std::ranges::max_element(weights.zeros);
  if (worst != weights.zeros.end() && *worst >> layout.codeBits() != 0)
    return badInput("expected zero points that are codes of " + std::to_string(layout.codeBits()) + " bits, but got " +
                        std::to_string(*worst),
                    "row " + std::to_string((worst - weights.zeros.begin()) / groups) + ", group " +
                        std::to_string((worst - weights.zeros.begin()) % groups));

  auto *packBlocks = layout.dot == 4 ? packCodeBlocks<4> : layout.dot == 2 ? packCodeBlocks<2> : packCodeBlocks<1>;
  std::byte *to = out.data();
  for (int64_t first = 0; first < n; first += panelRows) {
    int count = static_cast<int>(std::min<int64_t>(panelRows, n - first));
    for (int64_t group = 0; group < groups; ++group) {
      RowPointers rows{{}, count};
      for (int r = 0; r < count; ++r)
        rows.row[r] = weights.codes.data() + (first + r) * rowBytes + group * groupRowBytes;
      packBlocks(layout, rows, to);
      std::byte *scales = to + layout.group / layout.blockDepth() * layout.blockBytes();
      std::byte *zeros = scales + panelRows * scaleBytes;
      to += layout.groupBytes();
      std::memset(scales, 0, static_cast<size_t>(to - scales));
      for (int r = 0; r < count; ++r) {
        int64_t index = (first + r) * groups + group;
        std::memcpy(scales + r * scaleBytes, weights.scales.data() + index * scaleBytes,
                    static_cast<size_t>(scaleBytes));
        if (layout.zeroPoints)
          storeZero(layout, zeros, r, weights.zeros[static_cast<size_t>(index)]);
      }
    }
  }
  return {};
}

Status packPanels(const PanelLayout &layout, int64_t n, int64_t k, std::span<const float> weights,
                  std::span<std::byte> out, int64_t firstRow) {
  if (Status status = layout.validate(n, k); !status)
    return status;
  if (layout.isQuantized())
    return badInput("expected a layout of unquantized weights, but got " + std::string(panelCodeName(layout.code)));
  if (Status status = checkSize("weights", weights.size(), n * k); !status)
    return status;
  if (Status status = checkSize("bytes of panels", out.size(), layout.totalBytes(n, k)); !status)
    return status;

  std::byte *to = out.data();
  for (int64_t first = 0; first < n; first += panelRows, to += layout.panelBytes(k)) {
    int count = static_cast<int>(std::min<int64_t>(panelRows, n - first));
    const float *from = weights.data() + first * k;
    bool finite = false;
    if (layout.code == PanelCode::F32)
      finite = packFloatPanel<uint32_t, uint32_t>(from, count, k, 0x7F800000u, std::bit_cast<uint32_t, float>, to);
    else if (layout.code == PanelCode::F16)
      finite = packFloatPanel<uint16_t, uint16_t>(from, count, k, uint16_t{0x7C00}, floatToHalf, to);
    else
      finite = packFloatPanel<uint16_t, uint32_t>(from, count, k, uint16_t{0x7F80}, floatToBfloat16, to);
    if (!finite)
      return notFinite(layout, {from, static_cast<size_t>(count * k)}, k, firstRow + first);
  }
  return {};
}

/// `bits` bits of word `index` of a block's words of 4 bytes, where StepOrder puts offset kk.
static uint32_t unpackUnit(const std::byte *block, int64_t index, int bits, int64_t kk, int64_t dot) {
  uint32_t word = 0;
  std::memcpy(&word, block + index * 4, sizeof word);
  int64_t place = kk % dot * (32 / bits / dot) + kk / dot;
  return word >> (bits * place) & ((1u << bits) - 1);
}

PanelElement unpackElement(const PanelLayout &layout, int64_t k, std::span<const std::byte> panels, int64_t row,
                           int64_t column) {
  int64_t lane = row % panelRows, inGroup = column % layout.group;
  const std::byte *group =
      panels.data() + row / panelRows * layout.panelBytes(k) + column / layout.group * layout.groupBytes();
  const std::byte *block = group + inGroup / layout.blockDepth() * layout.blockBytes();
  int64_t offset = inGroup % layout.blockDepth();

  PanelElement element;
  int high = layout.highBits(), low = layout.codeBits() - high;
  if (low < 8) {
    int64_t depth = 32 / low; // of a word of low bits
    element.code = unpackUnit(block, offset / depth * panelRows + lane, low, offset % depth, layout.dot);
    if (high != 0)
      element.code |= unpackUnit(block, low / high * panelRows + lane, high, offset, layout.dot) << low;
  } else {
    size_t size = static_cast<size_t>(layout.codeBits()) / 8;
    std::memcpy(&element.code, block + (lane * layout.blockDepth() + offset) * static_cast<int64_t>(size), size);
  }
  switch (layout.code) {
  case PanelCode::F32:
    element.value = std::bit_cast<float>(element.code);
    return element;
  case PanelCode::F16:
    element.value = halfToFloat(static_cast<uint16_t>(element.code));
    return element;
  case PanelCode::BF16:
    element.value = bfloat16ToFloat(static_cast<uint16_t>(element.code));
    return element;
  default:
    break;
  }
  int64_t scaleBytes = info(layout.scale).blockBytes;
  const std::byte *scales = group + layout.group / layout.blockDepth() * layout.blockBytes();
  element.scale = loadScale(layout.scale, scales + lane * scaleBytes);
  element.zero = layout.zeroPoints ? loadZero(layout, scales + panelRows * scaleBytes, lane) : layout.impliedZero();
  element.value = element.scale * static_cast<float>(static_cast<int>(element.code) - element.zero);
  return element;
}

} // namespace qopt
