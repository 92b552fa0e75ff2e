// How an archive holds codes of 2 to 6 or 8 bits: along K they follow each other from the lowest bit of the first byte
// up. So of two 4-bit codes in a byte the even one lies in the low nibble, and eight 3-bit codes are three bytes. A
// packed row is whole bytes, so that rows follow each other directly.
#ifndef QOPT_LIB_NUMERICS_CODEPACKING_H
#define QOPT_LIB_NUMERICS_CODEPACKING_H

#include "lib/Support/Error.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace qopt {

/// Bytes of `cols` codes of `bits` (2 to 6, or 8) bits; nothing for other widths, cols < 0, or codes that do not fill
/// their last byte.
std::optional<uint64_t> packedCodeBytes(int bits, int64_t cols);

/// codes : [n], one per byte, each below 2^bits (higher bits are ignored) → packed : [packedCodeBytes(bits, n)].
/// Errors (bad input): a width or count that cannot be packed, or a span of the wrong length.
Status packCodes(int bits, std::span<const uint8_t> codes, std::span<std::byte> packed);

/// The way back. codes : [n], packed : [packedCodeBytes(bits, n)]. Errors as above.
Status unpackCodes(int bits, std::span<const std::byte> packed, std::span<uint8_t> codes);

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_CODEPACKING_H
