// The two loops that every quantized weight passes through: the range of a group, and its codes.
//
// Both are written so that they vectorize without relaxed floating point: the range is a reduction over integers that
// order as the floats do, and rint is the addition of 1.5·2^23, which leaves the integer in the low bits of the sum.
#include "lib/Numerics/RoundToNearest.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>

namespace qopt {

namespace {

/// 1.5·2^23: v + roundingBias has an exponent at which the last bit is worth 1, for |v| < 2^22.
constexpr float roundingBias = 0x1.8p23f;
constexpr int32_t roundingBiasBits = std::bit_cast<int32_t>(roundingBias);

/// Both 0 or beyond: the range includes 0. A weight that is not finite makes an end of it infinite or NaN, and so the
/// scale.
struct Range {
  float low = 0, high = 0;
};

/// high = max |w|.
Range magnitudeOf(std::span<const float> weights) {
  int32_t greatest = 0;
  for (float weight : weights)
    greatest = std::max(greatest, std::bit_cast<int32_t>(weight) & 0x7FFFFFFF);
  return {0, std::bit_cast<float>(greatest)};
}

/// A bijection of the floats' bits that orders as the floats do (NaNs beyond the infinities); its own inverse.
inline int32_t orderedBits(int32_t bits) { return bits ^ ((bits >> 31) & 0x7FFFFFFF); }

/// low = min(0, min w), high = max(0, max w).
Range rangeOf(std::span<const float> weights) {
  int32_t least = 0, greatest = 0;
  for (float weight : weights) {
    int32_t key = orderedBits(std::bit_cast<int32_t>(weight));
    least = std::min(least, key);
    greatest = std::max(greatest, key);
  }
  return {std::bit_cast<float>(orderedBits(least)), std::bit_cast<float>(greatest)};
}

/// rint(value), for |value| < 2^22.
inline int32_t roundToInt(float value) { return std::bit_cast<int32_t>(value + roundingBias) - roundingBiasBits; }

std::string formatFloat(float value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", static_cast<double>(value));
  return text;
}

/// Why fitGrid refused `group`, whose first weight is at (row, column).
Error gridError(const WeightScheme &scheme, std::span<const float> group, int64_t row, int64_t column) {
  std::string where = "row " + std::to_string(row);
  for (size_t i = 0; i < group.size(); ++i)
    if (!std::isfinite(group[i]))
      return badInput("expected finite weights, but got " + formatFloat(group[i]),
                      where + ", column " + std::to_string(column + static_cast<int64_t>(i)))
          .withNext("download the checkpoint again; if it is as it was published, its training has failed");
  Range range = rangeOf(group);
  return badInput("expected a scale that " + std::string(info(scheme.scale).name) +
                      " can hold, but the weights range from " + formatFloat(range.low) + " to " +
                      formatFloat(range.high),
                  where + ", columns " + std::to_string(column) + " to " +
                      std::to_string(column + static_cast<int64_t>(group.size()) - 1))
      .withNext("take a scale of more range (:bf16 or :f32), or keep this weight");
}

Status checkSize(const char *what, size_t size, uint64_t wanted) {
  if (size == wanted)
    return {};
  return badInput("expected " + std::to_string(wanted) + " " + what + ", but got " + std::to_string(size));
}

/// Element counts of some rows, checked against overflow.
struct Counts {
  uint64_t weights, groups, scaleBytes, zeros;
};

Result<Counts> countsOf(const WeightScheme &scheme, int64_t rows, int64_t cols) {
  if (Status status = scheme.validate(cols); !status)
    return status.takeError();
  uint64_t weights = 0;
  if (rows < 0 || __builtin_mul_overflow(static_cast<uint64_t>(rows), static_cast<uint64_t>(cols), &weights) ||
      weights > UINT64_MAX / 8)
    return badInput("expected a number of weights below 2^61, but got " + std::to_string(rows) + " rows of " +
                    std::to_string(cols));
  uint64_t groups = static_cast<uint64_t>(rows) * static_cast<uint64_t>(scheme.groupsPerRow(cols));
  return Counts{weights, groups, groups * info(scheme.scale).blockBytes, scheme.symmetric ? 0 : groups};
}

} // namespace

std::optional<GroupGrid> fitGrid(const WeightScheme &scheme, std::span<const float> weights) {
  Range range = scheme.symmetric ? magnitudeOf(weights) : rangeOf(weights);
  return gridForRange(scheme, range.low, range.high);
}

std::optional<GroupGrid> gridForRange(const WeightScheme &scheme, float low, float high) {
  float codes = static_cast<float>(scheme.maxCode());
  // A NaN in `high` wins, and so does its 0 over the other's -0.
  float exact = scheme.symmetric ? std::max(high, -low) / (codes / 2) : (high - low) / codes;
  float scale = roundScale(scheme.scale, exact);
  if (!std::isfinite(scale))
    return std::nullopt;
  if (scheme.symmetric)
    return GroupGrid{scale, static_cast<uint8_t>(scheme.impliedZero())};
  if (scale == 0)
    return GroupGrid{0, 0};
  // A subnormal scale may have lost much in rounding: the quotient is not bounded by the range.
  float zero = std::min(-low / scale, codes);
  return GroupGrid{scale, static_cast<uint8_t>(roundToInt(zero))};
}

void encodeGroup(const WeightScheme &scheme, GroupGrid grid, std::span<const float> weights, std::span<uint8_t> codes) {
  size_t count = std::min(weights.size(), codes.size());
  if (grid.scale == 0) {
    std::fill_n(codes.begin(), count, grid.zero);
    return;
  }
  // Clamping before rounding gives the same codes, since the bounds are integers, and keeps the sum below 2^22.
  float lowest = -static_cast<float>(grid.zero);
  float highest = static_cast<float>(scheme.maxCode() - grid.zero);
  const float *from = weights.data();
  uint8_t *to = codes.data();
  for (size_t i = 0; i < count; ++i) {
    float steps = from[i] / grid.scale;
    steps = steps > lowest ? steps : lowest;
    steps = steps < highest ? steps : highest;
    to[i] = static_cast<uint8_t>(roundToInt(steps) + grid.zero);
  }
}

OwnedQuantizedRows::OwnedQuantizedRows(const WeightScheme &scheme, int64_t rows, int64_t cols)
    : codes(rows * cols), scales(rows * scheme.groupsPerRow(cols) * info(scheme.scale).blockBytes),
      zeros(scheme.symmetric ? 0 : rows * scheme.groupsPerRow(cols)) {}

Status quantizeRoundToNearest(const WeightScheme &scheme, int64_t rows, int64_t cols, std::span<const float> weights,
                              QuantizedRows out, int64_t firstRow) {
  Result<Counts> counts = countsOf(scheme, rows, cols);
  if (!counts)
    return counts.takeError();
  for (Status status :
       {checkSize("weights", weights.size(), counts->weights), checkSize("codes", out.codes.size(), counts->weights),
        checkSize("bytes of scales", out.scales.size(), counts->scaleBytes),
        checkSize("zero points", out.zeros.size(), counts->zeros)})
    if (!status)
      return status;

  size_t size = static_cast<size_t>(scheme.groupSize(cols));
  size_t scaleBytes = info(scheme.scale).blockBytes;
  for (size_t group = 0; group < counts->groups; ++group) {
    std::span<const float> source = weights.subspan(group * size, size);
    std::optional<GroupGrid> grid = fitGrid(scheme, source);
    if (!grid) {
      int64_t first = static_cast<int64_t>(group * size);
      return gridError(scheme, source, firstRow + first / cols, first % cols);
    }
    storeScale(scheme.scale, grid->scale, out.scales.data() + group * scaleBytes);
    if (!scheme.symmetric)
      out.zeros[group] = grid->zero;
    encodeGroup(scheme, *grid, source, out.codes.subspan(group * size, size));
  }
  return {};
}

Status dequantizeRows(const WeightScheme &scheme, int64_t rows, int64_t cols, QuantizedRowsView in,
                      std::span<float> out) {
  Result<Counts> counts = countsOf(scheme, rows, cols);
  if (!counts)
    return counts.takeError();
  for (Status status :
       {checkSize("weights", out.size(), counts->weights), checkSize("codes", in.codes.size(), counts->weights),
        checkSize("bytes of scales", in.scales.size(), counts->scaleBytes),
        checkSize("zero points", in.zeros.size(), counts->zeros)})
    if (!status)
      return status;

  size_t size = static_cast<size_t>(scheme.groupSize(cols));
  size_t scaleBytes = info(scheme.scale).blockBytes;
  for (size_t group = 0; group < counts->groups; ++group) {
    float scale = loadScale(scheme.scale, in.scales.data() + group * scaleBytes);
    int zero = scheme.symmetric ? scheme.impliedZero() : in.zeros[group];
    const uint8_t *codes = in.codes.data() + group * size;
    float *to = out.data() + group * size;
    for (size_t i = 0; i < size; ++i)
      to[i] = scale * static_cast<float>(codes[i] - zero);
  }
  return {};
}

Status roundRowsToNearest(const WeightScheme &scheme, int64_t rows, int64_t cols, std::span<const float> weights,
                          std::span<float> out, int64_t firstRow) {
  OwnedQuantizedRows codes(scheme, rows, cols);
  if (Status status = quantizeRoundToNearest(scheme, rows, cols, weights, codes, firstRow); !status)
    return status;
  return dequantizeRows(scheme, rows, cols, QuantizedRows(codes), out);
}

} // namespace qopt
