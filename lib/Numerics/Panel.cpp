// Moving weights into panels.
//
// Whatever the code, a block gives each of its 16 rows one word (8 codes of 4 bits, `dot` bytes, two bf16, one float),
// and the words of a row follow each other in the source. So packing is the transposition of words, with 4-bit codes
// permuted inside their word on the way.
#include "lib/Numerics/Panel.h"

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

// The permutations of nibbles within a word: from k offsets in ascending order to the order of a block of U4.

/// dot 1: nibble s holds offset s.
struct KeepOrder {
  template <typename Word> Word operator()(Word word) const { return word; }
};

/// dot 2: nibble 4e + s holds offset 2s + e: even offsets into the low half, odd ones into the high half.
struct SplitPairs {
  uint32_t operator()(uint32_t word) const {
    uint32_t swap = (word ^ (word >> 4)) & 0x00F000F0u;
    word ^= swap ^ (swap << 4);
    swap = (word ^ (word >> 8)) & 0x0000FF00u;
    return word ^ swap ^ (swap << 8);
  }
};

/// dot 4: nibble 2e + s holds offset 4s + e: the low half's nibbles between those of the high half.
struct MergeHalves {
  uint32_t operator()(uint32_t word) const {
    uint32_t swap = (word ^ (word >> 8)) & 0x0000FF00u;
    word ^= swap ^ (swap << 8);
    swap = (word ^ (word >> 4)) & 0x00F000F0u;
    return word ^ swap ^ (swap << 4);
  }
};

/// out : [blocks, 16] words = order(word `block` of row r); `fill` in every byte of rows that do not exist.
template <typename Word, typename Order>
void transposeWords(const RowPointers &rows, int64_t blocks, uint8_t fill, std::byte *out, Order order) {
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

/// The code blocks of one group of quantized rows.
void packCodeBlocks(const PanelLayout &layout, const RowPointers &rows, std::byte *out) {
  int64_t blocks = layout.group / layout.blockDepth();
  bool fourBits = layout.code == PanelCode::U4;
  uint8_t fill = layout.zeroPoints ? 0 : fourBits ? 0x88 : 0x80;
  if (fourBits) {
    if (layout.dot == 4)
      transposeWords<uint32_t>(rows, blocks, fill, out, MergeHalves{});
    else if (layout.dot == 2)
      transposeWords<uint32_t>(rows, blocks, fill, out, SplitPairs{});
    else
      transposeWords<uint32_t>(rows, blocks, fill, out, KeepOrder{});
    return;
  }
  if (layout.dot == 4)
    transposeWords<uint32_t>(rows, blocks, fill, out, KeepOrder{});
  else if (layout.dot == 2)
    transposeWords<uint16_t>(rows, blocks, fill, out, KeepOrder{});
  else
    transposeWords<uint8_t>(rows, blocks, fill, out, KeepOrder{});
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
    transposeWords<Word>(pointers, blocks, 0, out, KeepOrder{});
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

  std::byte *to = out.data();
  for (int64_t first = 0; first < n; first += panelRows) {
    int count = static_cast<int>(std::min<int64_t>(panelRows, n - first));
    for (int64_t group = 0; group < groups; ++group) {
      RowPointers rows{{}, count};
      for (int r = 0; r < count; ++r)
        rows.row[r] = weights.codes.data() + (first + r) * rowBytes + group * groupRowBytes;
      packCodeBlocks(layout, rows, to);
      std::byte *scales = to + layout.group / layout.blockDepth() * layout.blockBytes();
      std::byte *zeros = scales + panelRows * scaleBytes;
      to += layout.groupBytes();
      std::memset(scales, 0, static_cast<size_t>(to - scales));
      for (int r = 0; r < count; ++r) {
        int64_t index = (first + r) * groups + group;
        std::memcpy(scales + r * scaleBytes, weights.scales.data() + index * scaleBytes,
                    static_cast<size_t>(scaleBytes));
        if (layout.zeroPoints)
          zeros[r] = static_cast<std::byte>(weights.zeros[static_cast<size_t>(index)]);
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

PanelElement unpackElement(const PanelLayout &layout, int64_t k, std::span<const std::byte> panels, int64_t row,
                           int64_t column) {
  int64_t lane = row % panelRows, inGroup = column % layout.group;
  const std::byte *group =
      panels.data() + row / panelRows * layout.panelBytes(k) + column / layout.group * layout.groupBytes();
  int64_t laneBytes = layout.blockBytes() / panelRows;
  const std::byte *slice = group + inGroup / layout.blockDepth() * layout.blockBytes() + lane * laneBytes;
  int64_t offset = inGroup % layout.blockDepth();

  PanelElement element;
  if (layout.code == PanelCode::U4) {
    uint32_t word = 0;
    std::memcpy(&word, slice, sizeof word);
    int64_t nibble = offset % layout.dot * (8 / layout.dot) + offset / layout.dot;
    element.code = word >> (4 * nibble) & 15;
  } else {
    size_t size = static_cast<size_t>(layout.codeBits()) / 8;
    std::memcpy(&element.code, slice + offset * static_cast<int64_t>(size), size);
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
  case PanelCode::U4:
  case PanelCode::U8:
    break;
  }
  int64_t scaleBytes = info(layout.scale).blockBytes;
  const std::byte *scales = group + layout.group / layout.blockDepth() * layout.blockBytes();
  element.scale = loadScale(layout.scale, scales + lane * scaleBytes);
  element.zero = layout.zeroPoints ? static_cast<int>(scales[panelRows * scaleBytes + lane]) : layout.impliedZero();
  element.value = element.scale * static_cast<float>(static_cast<int>(element.code) - element.zero);
  return element;
}

} // namespace qopt
