// The layout of weights that kernels read: panels of 16 output channels, in the order in which a kernel consumes them.
//
// Weights W : [N, K] (output channels, input channels) are cut into panels of 16 consecutive rows. A panel is one
// contiguous stream of bytes over all of K, so that a kernel with one output row per vector lane reads straight on:
//
//   for each group along K:   [code blocks][16 scales][16 zero points; only if `zeroPoints`]
//
// A zero point takes a byte beside codes of 5 bits and more, and 4 bits beside narrower ones: that of row r < 8 is in
// the low half of byte r, that of row r + 8 in the high half.
//
// A block holds some consecutive k of all 16 rows; lane r (row r of the panel) owns the r-th slice of the block.
// `dot` is how many adjacent k one lane consumes per dot instruction.
//
//   code  dot      k per block  bytes  where row r, offset kk within the block, is
//   U4    4, 2, 1  8            64     little-endian dword r, nibble p (bits [4p, 4p+4)), with kk = s*dot + e, e < dot:
//                                      p = e*(8/dot) + s. So (dword >> 4s) & mask yields the `dot` codes of step s,
//                                      one per 32/dot bits.
//   U2    4, 2, 1  16           64     likewise in pairs of bits [2p, 2p+2), p = e*(16/dot) + s: a shift by 2s
//   U3    4, 2, 1  32           192    code = low | high << 2, in planes: the two low bits of inputs 0 to 15 as a block
//                                      of U2, those of inputs 16 to 31 as another, then the high bits of all 32:
//                                      dword r, bit p = e*(32/dot) + s, a shift by s
//   U5    4, 2, 1  32           320    code = low | high << 4: the low bits as four blocks of U4, the high bits as
//                                      those of U3
//   U6    4, 2, 1  16           192    code = low | high << 4: the low bits as two blocks of U4, the high bits as a
//                                      block of U2
//   U8    4, 2, 1  dot          16*dot byte dot*r + kk
//   BF16  2        2            64     u16 2r + kk
//   F32   1        1            64     f32 r
//   F16   1        1            32     f16 r
//
// BF16, F32 and F16 are unquantized: one group, no scales, no zero points. Rows past N in the last panel decode to 0:
// scale 0, zero point 0, and the code of the implied zero point (of zero point 0 if stored).
// Nothing is padded: blocks after the scales of a group are aligned to 8 bytes only.
#ifndef QOPT_LIB_NUMERICS_PANEL_H
#define QOPT_LIB_NUMERICS_PANEL_H

#include "lib/Numerics/Scheme.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace qopt {

enum class PanelCode : uint8_t { U4, U8, F32, F16, BF16, U2, U3, U5, U6 };

/// "u4", "u8", "f32", "f16", "bf16", "u2", "u3", "u5", "u6".
std::string_view panelCodeName(PanelCode code);

struct PanelLayout {
  int rows = 16; ///< output channels of a panel; always 16
  int dot = 1;   ///< adjacent k that one lane consumes at once
  PanelCode code = PanelCode::F32;
  int64_t group = 0;                        ///< k of a group; K when per row or unquantized
  ElementFormat scale = ElementFormat::F16; ///< of the scales; ignored for unquantized codes
  bool zeroPoints = false;                  ///< stored zero points (asymmetric)

  /// The layout of weights coded by `scheme` in rows of k, for a kernel that consumes `dot` adjacent k at once
  /// (i8 activations 4, bf16 2, f32 1). validate() says whether there is one.
  static PanelLayout quantized(const WeightScheme &scheme, int dot, int64_t k);
  /// The layout of unquantized weights in rows of k. `code` is F32, F16 or BF16.
  static PanelLayout unquantized(PanelCode code, int64_t k);

  bool operator==(const PanelLayout &) const = default;

  bool isQuantized() const { return code != PanelCode::F32 && code != PanelCode::F16 && code != PanelCode::BF16; }
  /// Bits of a code: 2 to 6, 8, 16 or 32.
  int codeBits() const;
  /// Of these, the highest bits that lie in a plane of their own; 0 where all lie together.
  int highBits() const;
  /// Zero point of codes without stored ones, 2^(bits-1); 0 for unquantized codes.
  int impliedZero() const;

  // Sizes. All require a valid layout; bytes are exact, and validate() has seen to it that none overflows.
  int64_t blockDepth() const;                     ///< k per block
  int64_t blockBytes() const;                     ///< bytes per block
  int64_t groupBytes() const;                     ///< bytes of a group: its blocks, scales and zero points
  int64_t panelBytes(int64_t k) const;            ///< bytes of a panel
  int64_t panelCount(int64_t n) const;            ///< ceil(n / 16)
  int64_t totalBytes(int64_t n, int64_t k) const; ///< panelCount * panelBytes

  /// Whether weights [n, k] can be laid out so. Errors (bad input): rows other than 16; a `dot` that the code does not
  /// have; a scale format that is none; n or k < 1; a group that is not a multiple of the block depth or does not
  /// divide k; an unquantized layout with a group other than k or with zero points; a size beyond 2^62 bytes.
  Status validate(int64_t n, int64_t k) const;
};

/// Quantized weights as an archive holds them.
struct PackedWeightsView {
  std::span<const std::byte> codes;  ///< [n, k * bits / 8], see CodePacking.h
  std::span<const std::byte> scales; ///< [n, k / group] in the layout's scale format
  std::span<const uint8_t> zeros;    ///< [n, k / group], or empty for a layout without zero points
};

/// Lays out quantized weights [n, k]. out : [layout.totalBytes(n, k)]; every byte of it is written.
/// Panels do not depend on each other: to split the work, cut the rows at multiples of 16 and `out` at multiples of
/// panelBytes.
/// Errors (bad input): the layout is not valid for [n, k] or not a quantized one; a span has the wrong length; a zero
/// point that is no code, with row and group.
Status packPanels(const PanelLayout &layout, int64_t n, int64_t k, const PackedWeightsView &weights,
                  std::span<std::byte> out);

/// Lays out unquantized weights : [n, k], rounding to the code's format (nearest even). Splits as above.
/// Errors (bad input): as above; a weight that is not finite, or not any more once rounded, with row (plus `firstRow`)
/// and column.
Status packPanels(const PanelLayout &layout, int64_t n, int64_t k, std::span<const float> weights,
                  std::span<std::byte> out, int64_t firstRow = 0);

/// One element of a panel. `code` holds the raw bits; for unquantized codes scale is 1 and zero 0.
struct PanelElement {
  uint32_t code = 0;
  float scale = 1;
  int zero = 0;
  float value = 0; ///< what it stands for: scale * (code - zero), or the number itself
};

/// The element at `row`, `column` of panels laid out for rows of k; for tests, and the oracle of the embedding's
/// gather. `row` may be past N, within the last panel. Slow. The caller has checked the layout and the ranges.
PanelElement unpackElement(const PanelLayout &layout, int64_t k, std::span<const std::byte> panels, int64_t row,
                           int64_t column);

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_PANEL_H
