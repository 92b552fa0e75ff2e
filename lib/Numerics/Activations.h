// The forms that activations take on their way into a linear: the reference that kernels are compared with.
//
// i8, for x, the values of one token (or of 32 consecutive channels of it), all arithmetic in f32, no contraction:
//
//   a = max |x|      s = a / 127      inv = s >= 2^-126 ? 1 / s : 0      q = clamp(rint(x * inv), -127, 127)
//
// rint rounds halves to even; the division by 127 and 1 / s are true divisions; the value is s * q. Below 2^-126
// (where 1 / s may overflow) all codes are 0; the scale is stored as computed. -128 is never produced.
// A value that is not finite makes its group's scale not finite, so that it shows in the result; the codes of that
// group are then unspecified, but within [-127, 127].
//
// Static i8 has an s that was chosen before (lib/Algorithms/ActivationRange.h), the same for all tokens: what is finite
// and lies beyond ±127·s is clamped. A token with a value that is not finite has NaN for its scale.
#ifndef QOPT_LIB_NUMERICS_ACTIVATIONS_H
#define QOPT_LIB_NUMERICS_ACTIVATIONS_H

#include "lib/Support/Error.h"

#include <cstdint>
#include <span>

namespace qopt {

/// Channels that share a scale in ActivationKind::I8PerGroup.
inline constexpr int64_t activationGroup = 32;

/// x : [tokens, channels] → codes : [tokens, channels], scales : [tokens, channels / group].
/// `group` is activationGroup, or `channels` for one scale per token.
/// Errors (bad input): tokens or channels or group < 1, a group that does not divide channels, a span of the wrong
/// length.
Status encodeActivationsI8(int64_t tokens, int64_t channels, int64_t group, std::span<const float> x,
                           std::span<int8_t> codes, std::span<float> scales);

/// x : [tokens, channels] → codes : [tokens, channels] by one scale, static; scales : [tokens] has it, or NaN for a
/// token with a value that is not finite. Errors (bad input): tokens or channels < 1, a span of the wrong length; a
/// scale that is not finite or below 2^-126.
Status encodeActivationsStatic(float scale, int64_t tokens, int64_t channels, std::span<const float> x,
                               std::span<int8_t> codes, std::span<float> scales);

/// x → the nearest bf16, ties to even. The two have the same length. Errors (bad input): they do not.
Status encodeActivationsBF16(std::span<const float> x, std::span<uint16_t> out);

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_ACTIVATIONS_H
