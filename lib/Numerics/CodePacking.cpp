// Codes to and from their archive form.
#include "lib/Numerics/CodePacking.h"

#include <cstring>

namespace qopt {

std::optional<uint64_t> packedCodeBytes(int bits, int64_t cols) {
  if (cols < 0)
    return std::nullopt;
  if (bits == 8)
    return static_cast<uint64_t>(cols);
  if (bits == 4 && cols % 2 == 0)
    return static_cast<uint64_t>(cols) / 2;
  return std::nullopt;
}

/// Whether `codeCount` codes fill `packedSize` bytes.
static Status checkSizes(int bits, size_t codeCount, size_t packedSize) {
  std::optional<uint64_t> bytes = packedCodeBytes(bits, static_cast<int64_t>(codeCount));
  if (!bytes)
    return badInput("expected 8-bit codes or an even number of 4-bit codes, but got " + std::to_string(codeCount) +
                    " codes of " + std::to_string(bits) + " bits");
  if (*bytes != packedSize)
    return badInput("expected " + std::to_string(*bytes) + " bytes of packed codes, but got " +
                    std::to_string(packedSize));
  return {};
}

Status packCodes(int bits, std::span<const uint8_t> codes, std::span<std::byte> packed) {
  if (Status status = checkSizes(bits, codes.size(), packed.size()); !status || codes.empty())
    return status;
  if (bits == 8) {
    std::memcpy(packed.data(), codes.data(), codes.size());
    return {};
  }
  const uint8_t *from = codes.data();
  std::byte *to = packed.data();
  for (size_t i = 0, count = packed.size(); i < count; ++i)
    to[i] = static_cast<std::byte>((from[2 * i] & 15) | (from[2 * i + 1] & 15) << 4);
  return {};
}

Status unpackCodes(int bits, std::span<const std::byte> packed, std::span<uint8_t> codes) {
  if (Status status = checkSizes(bits, codes.size(), packed.size()); !status || codes.empty())
    return status;
  if (bits == 8) {
    std::memcpy(codes.data(), packed.data(), codes.size());
    return {};
  }
  const std::byte *from = packed.data();
  uint8_t *to = codes.data();
  for (size_t i = 0, count = packed.size(); i < count; ++i) {
    to[2 * i] = static_cast<uint8_t>(from[i]) & 15;
    to[2 * i + 1] = static_cast<uint8_t>(from[i]) >> 4;
  }
  return {};
}

} // namespace qopt
