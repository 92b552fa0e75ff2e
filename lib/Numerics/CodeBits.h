// Codes of 1 to 7 bits, eight at a time: in the bytes of a word, or one after the other from its lowest bit up.
#ifndef QOPT_LIB_NUMERICS_CODEBITS_H
#define QOPT_LIB_NUMERICS_CODEBITS_H

#include <cstdint>

namespace qopt {

/// The lowest `bits` of each of `count` equal parts of a word.
constexpr uint64_t lowBits(int count, int bits) {
  uint64_t mask = 0;
  for (int part = 0; part < count; ++part)
    mask |= ((uint64_t{1} << bits) - 1) << (64 / count * part);
  return mask;
}

/// Eight codes, one per byte, whose higher bits are ignored → 8·bits bits. Each step moves the upper of two neighbours
/// down to the lower one.
template <int bits> constexpr uint64_t gatherCodes(uint64_t codes) {
  auto join = [](uint64_t word, int count, int width) { // `count` parts of `width` bits become half as many
    uint64_t mask = lowBits(count / 2, width);
    return (word & mask) | (word >> (64 / count) & mask) << width;
  };
  return join(join(join(codes, 8, bits), 4, 2 * bits), 2, 4 * bits);
}

/// The way back; bits beyond the 8·bits are ignored.
template <int bits> constexpr uint64_t spreadCodes(uint64_t codes) {
  auto part = [](uint64_t word, int count, int width) {
    uint64_t mask = lowBits(count / 2, width);
    return (word & mask) | (word >> width & mask) << (64 / count);
  };
  return part(part(part(codes, 2, 4 * bits), 4, 2 * bits), 8, bits);
}

static_assert(gatherCodes<3>(0x0706050403020100) == 0b111'110'101'100'011'010'001'000);
static_assert(spreadCodes<3>(0b111'110'101'100'011'010'001'000) == 0x0706050403020100);
static_assert(gatherCodes<6>(0x3F00'2A15'0120'3F01) == 0xFC0A'9506'0FC1);
static_assert(spreadCodes<6>(0xFC0A'9506'0FC1) == 0x3F00'2A15'0120'3F01);

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_CODEBITS_H
