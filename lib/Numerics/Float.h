// Half precision and bfloat16 to and from f32, without hardware conversions, so that every machine gives the same bits.
//
// The functions are inline and free of branches: loops over them vectorize. They assume the default rounding mode
// (nearest even) and do not depend on whether subnormals are flushed.
#ifndef QOPT_LIB_NUMERICS_FLOAT_H
#define QOPT_LIB_NUMERICS_FLOAT_H

#include <bit>
#include <cstdint>

namespace qopt {

/// The f32 equal to the IEEE binary16 `half`; exact. A NaN keeps its sign and payload.
inline float halfToFloat(uint16_t half) {
  uint32_t magnitude = half & 0x7FFFu;
  uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  constexpr uint32_t rebias = (127u - 15u) << 23;
  uint32_t normal = (magnitude << 13) + rebias + (magnitude >= 0x7C00u ? rebias : 0u);
  // A subnormal half is its significand in units of 2^-24, and a normal f32.
  uint32_t subnormal = std::bit_cast<uint32_t>(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f);
  return std::bit_cast<float>(sign | (magnitude < 0x0400u ? subnormal : normal));
}

/// The nearest binary16, ties to even; overflow gives infinity. A NaN stays a NaN: quiet, with the top payload bits.
inline uint16_t floatToHalf(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t sign = (bits >> 16) & 0x8000u;
  uint32_t magnitude = bits & 0x7FFFFFFFu;
  // Adding 1/2 puts the last bit of a subnormal half, 2^-24, on the last bit of the sum, which the addition rounds.
  uint32_t subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3F000000u;
  // Elsewhere 13 bits go: add half of their unit less one, and the last bit that stays.
  uint32_t normal = (magnitude - (112u << 23) + 0x0FFFu + ((magnitude >> 13) & 1u)) >> 13;
  uint32_t special = magnitude > 0x7F800000u ? 0x7E00u | ((magnitude >> 13) & 0x03FFu) : 0x7C00u;
  uint32_t finite = magnitude < 0x38800000u ? subnormal : normal;
  return static_cast<uint16_t>(sign | (magnitude >= 0x47800000u ? special : finite));
}

/// The f32 equal to `value`; exact.
inline float bfloat16ToFloat(uint16_t value) { return std::bit_cast<float>(static_cast<uint32_t>(value) << 16); }

/// The nearest bfloat16, ties to even; overflow gives infinity. A NaN stays a NaN: quiet, with the top payload bits.
inline uint16_t floatToBfloat16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  uint32_t quiet = (bits >> 16) | 0x0040u;
  return static_cast<uint16_t>((bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : rounded);
}

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_FLOAT_H
