// The reference encoding of activations; see the header for the arithmetic.
#include "lib/Numerics/Activations.h"

#include "lib/Numerics/Float.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace qopt {

/// 1.5·2^23: v + roundingBias has its last bit worth 1, so the addition rounds v to an integer, ties to even.
static constexpr float roundingBias = 0x1.8p23f;

/// x : [count] → codes : [count], in steps of `scale`.
static void encodeWith(float scale, const float *x, int64_t count, int8_t *codes) {
  float inverse = scale >= 0x1p-126f ? 1.0f / scale : 0.0f;
  for (int64_t i = 0; i < count; ++i) {
    float steps = x[i] * inverse;
    steps = steps > -127.0f ? steps : -127.0f; // also where it is a NaN
    steps = steps < 127.0f ? steps : 127.0f;
    codes[i] = static_cast<int8_t>(std::bit_cast<int32_t>(steps + roundingBias) - std::bit_cast<int32_t>(roundingBias));
  }
}

/// max |x|; NaN if one is.
static float greatestOf(const float *x, int64_t count) {
  int32_t greatest = 0; // as bits: the magnitudes of floats order as integers, NaN above infinity
  for (int64_t i = 0; i < count; ++i)
    greatest = std::max(greatest, std::bit_cast<int32_t>(x[i]) & 0x7FFFFFFF);
  return std::bit_cast<float>(greatest);
}

/// Whether the spans are as long as tokens, channels and groups say. Bad input.
static Status checkLengths(int64_t tokens, int64_t channels, int64_t group, std::span<const float> x,
                           std::span<int8_t> codes, std::span<float> scales) {
  if (tokens < 1 || channels < 1 || group < 1 || channels % group != 0)
    return badInput("expected at least one token and a group that divides the channels, but got " +
                    std::to_string(tokens) + " tokens of " + std::to_string(channels) + " channels in groups of " +
                    std::to_string(group));
  uint64_t count = 0;
  if (__builtin_mul_overflow(static_cast<uint64_t>(tokens), static_cast<uint64_t>(channels), &count) ||
      x.size() != count || codes.size() != count || scales.size() != count / static_cast<uint64_t>(group))
    return badInput("expected as many values and codes as tokens times channels and a scale per group, but got " +
                    std::to_string(x.size()) + ", " + std::to_string(codes.size()) + " and " +
                    std::to_string(scales.size()));
  return {};
}

Status encodeActivationsI8(int64_t tokens, int64_t channels, int64_t group, std::span<const float> x,
                           std::span<int8_t> codes, std::span<float> scales) {
  if (Status status = checkLengths(tokens, channels, group, x, codes, scales); !status)
    return status;
  for (size_t i = 0; i < scales.size(); ++i) {
    size_t first = i * static_cast<size_t>(group);
    scales[i] = greatestOf(x.data() + first, group) / 127.0f;
    encodeWith(scales[i], x.data() + first, group, codes.data() + first);
  }
  return {};
}

Status encodeActivationsStatic(float scale, int64_t tokens, int64_t channels, std::span<const float> x,
                               std::span<int8_t> codes, std::span<float> scales) {
  if (Status status = checkLengths(tokens, channels, channels, x, codes, scales); !status)
    return status;
  if (!(scale >= 0x1p-126f) || !std::isfinite(scale))
    return badInput("expected a scale that is finite and at least 2^-126, but got " + std::to_string(scale));
  encodeWith(scale, x.data(), static_cast<int64_t>(x.size()), codes.data());
  for (int64_t t = 0; t < tokens; ++t)
    scales[t] = std::isfinite(greatestOf(x.data() + t * channels, channels)) ? scale : NAN;
  return {};
}

Status encodeActivationsBF16(std::span<const float> x, std::span<uint16_t> out) {
  if (x.size() != out.size())
    return badInput("expected as many results as values, but got " + std::to_string(out.size()) + " and " +
                    std::to_string(x.size()));
  std::transform(x.begin(), x.end(), out.begin(), floatToBfloat16);
  return {};
}

} // namespace qopt
