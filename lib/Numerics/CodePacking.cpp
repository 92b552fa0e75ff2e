// Codes to and from their archive form.
#include "lib/Numerics/CodePacking.h"

#include "lib/Numerics/CodeBits.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace qopt {

static_assert(std::endian::native == std::endian::little, "bytes of codes are moved as words");

std::optional<uint64_t> packedCodeBytes(int bits, int64_t cols) {
  if (cols < 0 || bits < 2 || bits > 8 || bits == 7 || cols % 8 * bits % 8 != 0)
    return std::nullopt;
  return static_cast<uint64_t>(cols / 8 * bits + cols % 8 * bits / 8);
}

/// Whether `codeCount` codes fill `packedSize` bytes.
static Status checkSizes(int bits, size_t codeCount, size_t packedSize) {
  std::optional<uint64_t> bytes = packedCodeBytes(bits, static_cast<int64_t>(codeCount));
  if (!bytes)
    return badInput("expected codes of 2, 3, 4, 5, 6 or 8 bits that fill whole bytes, but got " +
                    std::to_string(codeCount) + " codes of " + std::to_string(bits) + " bits");
  if (*bytes != packedSize)
    return badInput("expected " + std::to_string(*bytes) + " bytes of packed codes, but got " +
                    std::to_string(packedSize));
  return {};
}

template <int bits> static void packEights(std::span<const uint8_t> codes, std::byte *to) {
  for (size_t i = 0; i < codes.size(); i += 8, to += bits) {
    size_t count = std::min<size_t>(8, codes.size() - i);
    uint64_t word = 0;
    std::memcpy(&word, codes.data() + i, count);
    word = gatherCodes<bits>(word);
    std::memcpy(to, &word, count * bits / 8);
  }
}

template <int bits> static void unpackEights(const std::byte *from, std::span<uint8_t> codes) {
  for (size_t i = 0; i < codes.size(); i += 8, from += bits) {
    size_t count = std::min<size_t>(8, codes.size() - i);
    uint64_t word = 0;
    std::memcpy(&word, from, count * bits / 8);
    word = spreadCodes<bits>(word);
    std::memcpy(codes.data() + i, &word, count);
  }
}

/// Two codes to a byte: a loop that the compiler widens to vectors.
static void packPairs(std::span<const uint8_t> codes, std::span<std::byte> packed) {
  const uint8_t *from = codes.data();
  std::byte *to = packed.data();
  for (size_t i = 0, count = packed.size(); i < count; ++i)
    to[i] = static_cast<std::byte>((from[2 * i] & 15) | (from[2 * i + 1] & 15) << 4);
}

static void unpackPairs(std::span<const std::byte> packed, std::span<uint8_t> codes) {
  const std::byte *from = packed.data();
  uint8_t *to = codes.data();
  for (size_t i = 0, count = packed.size(); i < count; ++i) {
    to[2 * i] = static_cast<uint8_t>(from[i]) & 15;
    to[2 * i + 1] = static_cast<uint8_t>(from[i]) >> 4;
  }
}

Status packCodes(int bits, std::span<const uint8_t> codes, std::span<std::byte> packed) {
  if (Status status = checkSizes(bits, codes.size(), packed.size()); !status || codes.empty())
    return status;
  if (bits == 8)
    std::memcpy(packed.data(), codes.data(), codes.size());
  else if (bits == 4)
    packPairs(codes, packed);
  else if (bits == 6)
    packEights<6>(codes, packed.data());
  else if (bits == 5)
    packEights<5>(codes, packed.data());
  else if (bits == 3)
    packEights<3>(codes, packed.data());
  else
    packEights<2>(codes, packed.data());
  return {};
}

Status unpackCodes(int bits, std::span<const std::byte> packed, std::span<uint8_t> codes) {
  if (Status status = checkSizes(bits, codes.size(), packed.size()); !status || codes.empty())
    return status;
  if (bits == 8)
    std::memcpy(codes.data(), packed.data(), codes.size());
  else if (bits == 4)
    unpackPairs(packed, codes);
  else if (bits == 6)
    unpackEights<6>(packed.data(), codes);
  else if (bits == 5)
    unpackEights<5>(packed.data(), codes);
  else if (bits == 3)
    unpackEights<3>(packed.data(), codes);
  else
    unpackEights<2>(packed.data(), codes);
  return {};
}

} // namespace qopt
