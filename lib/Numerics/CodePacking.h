// How an archive holds codes. 8 bits: one byte per code. 4 bits: two codes per byte along K, the even one in the low
// nibble. Rows hold an even number of 4-bit codes, so a packed row is whole bytes and rows follow each other directly.
#ifndef QOPT_LIB_NUMERICS_CODEPACKING_H
#define QOPT_LIB_NUMERICS_CODEPACKING_H

#include "lib/Support/Error.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace qopt {

/// Bytes of `cols` codes of `bits` (4 or 8) bits; nothing for other widths, cols < 0, or 4 bits and an odd `cols`.
std::optional<uint64_t> packedCodeBytes(int bits, int64_t cols);

/// codes : [n], one per byte, each below 2^bits (higher bits are ignored) → packed : [packedCodeBytes(bits, n)].
/// Errors (bad input): a width or count that cannot be packed, or a span of the wrong length.
Status packCodes(int bits, std::span<const uint8_t> codes, std::span<std::byte> packed);

/// The way back. codes : [n], packed : [packedCodeBytes(bits, n)]. Errors as above.
Status unpackCodes(int bits, std::span<const std::byte> packed, std::span<uint8_t> codes);

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_CODEPACKING_H
