// Round to nearest: each group of weights gets the scale (and zero point) that just covers its range, and each weight
// the nearest code. Also the way back, dequantize, which holds for codes from any algorithm.
//
// All arithmetic is f32 with one rounding per operation (the library is compiled without contraction); rint rounds
// halves to even; divisions are true divisions. With L = 2^bits - 1 and w the weights of one group:
//
//   symmetric     a = max |w|                       s = round_scale(a / (L / 2))
//                 u = clamp(rint(w / s) + 2^(bits-1), 0, L)
//   asymmetric    lo = min(0, min w), hi = max(0, max w)
//                 s = round_scale((hi - lo) / L)    z = clamp(rint(-lo / s), 0, L)
//                 u = clamp(rint(w / s) + z, 0, L)
//
// round_scale rounds to the scheme's storage format, before any code is chosen. The symmetric range is that of
// compressed-tensors: +a falls half a step beyond the last code and is clamped to it.
// A group whose scale rounds to zero (all weights zero, or too small for the format) gets scale 0 and u = z, with
// z = 0 if it is stored.
//
// Rows do not depend on each other: any split of the rows over threads gives the same bytes.
#ifndef QOPT_LIB_NUMERICS_ROUNDTONEAREST_H
#define QOPT_LIB_NUMERICS_ROUNDTONEAREST_H

#include "lib/Numerics/Scheme.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace qopt {

/// The values that the codes of one group can say: scale * (u - zero).
struct GroupGrid {
  float scale = 0;  ///< already rounded to the scheme's storage format
  uint8_t zero = 0; ///< implied or stored
};

/// Scale and zero point of one group : [group]. Nothing if a weight is not finite or the scale overflows its format.
std::optional<GroupGrid> fitGrid(const WeightScheme &scheme, std::span<const float> weights);

/// The grid that just covers [low, high], low <= 0 <= high; a symmetric scheme covers the greater of the two
/// magnitudes. fitGrid is this for the least and the greatest weight. Nothing if the scale is not finite in its format.
std::optional<GroupGrid> gridForRange(const WeightScheme &scheme, float low, float high);

/// The nearest code of each weight on `grid`. codes : [weights.size()], one per byte.
void encodeGroup(const WeightScheme &scheme, GroupGrid grid, std::span<const float> weights, std::span<uint8_t> codes);

/// Room for the codes of some rows. `zeros` is empty for a symmetric scheme.
struct QuantizedRows {
  std::span<uint8_t> codes;    ///< [rows, cols], one code per byte
  std::span<std::byte> scales; ///< [rows, groupsPerRow] in the scheme's scale format
  std::span<uint8_t> zeros;    ///< [rows, groupsPerRow], or empty
};

/// The same, to read from.
struct QuantizedRowsView {
  std::span<const uint8_t> codes;
  std::span<const std::byte> scales;
  std::span<const uint8_t> zeros;

  QuantizedRowsView() = default;
  QuantizedRowsView(std::span<const uint8_t> codes, std::span<const std::byte> scales, std::span<const uint8_t> zeros)
      : codes(codes), scales(scales), zeros(zeros) {}
  QuantizedRowsView(const QuantizedRows &rows) : codes(rows.codes), scales(rows.scales), zeros(rows.zeros) {}
};

/// The same with room of its own.
struct OwnedQuantizedRows {
  OwnedQuantizedRows(const WeightScheme &scheme, int64_t rows, int64_t cols);
  operator QuantizedRows() { return {codes, scales, zeros}; }

  std::vector<uint8_t> codes;
  std::vector<std::byte> scales;
  std::vector<uint8_t> zeros;
};

/// Quantizes weights : [rows, cols] into `out`. `firstRow` is added to row numbers in messages, for a caller that
/// quantizes a slice of a tensor.
/// Errors (bad input): the scheme does not fit `cols`; a span has the wrong length; a weight that is not finite, or a
/// scale that overflows its format, with row, column or group, and value. What was written until then stays.
Status quantizeRoundToNearest(const WeightScheme &scheme, int64_t rows, int64_t cols, std::span<const float> weights,
                              QuantizedRows out, int64_t firstRow = 0);

/// out : [rows, cols] = scale * (u - zero), one f32 product per weight.
/// Errors (bad input): the scheme does not fit `cols`; a span has the wrong length.
Status dequantizeRows(const WeightScheme &scheme, int64_t rows, int64_t cols, QuantizedRowsView in,
                      std::span<float> out);

/// What is left of weights : [rows, cols] after both, into out : [rows, cols]. Errors: theirs.
Status roundRowsToNearest(const WeightScheme &scheme, int64_t rows, int64_t cols, std::span<const float> weights,
                          std::span<float> out, int64_t firstRow = 0);

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_ROUNDTONEAREST_H
