// The blocks of GGUF, byte by byte, and the loops that read them.
//
// In blocks of 32 with nibbles, byte j holds element j (low nibble) and element j + 16 (high nibble); a fifth bit of
// element j is bit j of the 32-bit field qh. A block starts at any byte of a file, so it is copied out before use.
#include "lib/Numerics/Decode.h"

#include "lib/Numerics/Float.h"

#include <bit>
#include <cstring>

namespace qopt {

static_assert(std::endian::native == std::endian::little, "files are little-endian, and are read as they lie");

namespace {

/// w = d (q - 8)
struct BlockQ4_0 {
  uint16_t d; ///< half
  uint8_t nibbles[16];
};
static_assert(sizeof(BlockQ4_0) == 18);

/// w = d q + m
struct BlockQ4_1 {
  uint16_t d, m; ///< halves
  uint8_t nibbles[16];
};
static_assert(sizeof(BlockQ4_1) == 20);

/// w = d (q - 16)
struct BlockQ5_0 {
  uint16_t d;           ///< half
  uint8_t fifthBits[4]; ///< bit j of the 32: bit 4 of element j
  uint8_t nibbles[16];
};
static_assert(sizeof(BlockQ5_0) == 22);

/// w = d q + m
struct BlockQ5_1 {
  uint16_t d, m; ///< halves
  uint8_t fifthBits[4];
  uint8_t nibbles[16];
};
static_assert(sizeof(BlockQ5_1) == 24);

/// w = d q
struct BlockQ8_0 {
  uint16_t d; ///< half
  int8_t codes[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

/// w = d scale (q - 32), a scale for each 16 elements. In each half of 128 elements, element 32 t + j (t < 4, j < 32)
/// has its low bits in nibble t / 2 of low[32 (t % 2) + j] and its high bits in bits 2t, 2t + 1 of high[j].
struct BlockQ6_K {
  uint8_t low[2][64];
  uint8_t high[2][32];
  int8_t scales[16];
  uint16_t d; ///< half
};
static_assert(sizeof(BlockQ6_K) == 210);

void decodeBlock(const BlockQ4_0 &block, float *out) {
  float d = halfToFloat(block.d);
  for (int j = 0; j < 16; ++j) {
    out[j] = d * static_cast<float>((block.nibbles[j] & 15) - 8);
    out[j + 16] = d * static_cast<float>((block.nibbles[j] >> 4) - 8);
  }
}

void decodeBlock(const BlockQ4_1 &block, float *out) {
  float d = halfToFloat(block.d), m = halfToFloat(block.m);
  for (int j = 0; j < 16; ++j) {
    out[j] = d * static_cast<float>(block.nibbles[j] & 15) + m;
    out[j + 16] = d * static_cast<float>(block.nibbles[j] >> 4) + m;
  }
}

/// The 5-bit codes of a block: nibbles and fifth bits put together.
void fiveBitCodes(const uint8_t (&nibbles)[16], const uint8_t (&fifthBits)[4], int32_t (&codes)[32]) {
  uint32_t high = 0;
  std::memcpy(&high, fifthBits, sizeof high);
  for (int j = 0; j < 16; ++j) {
    codes[j] = static_cast<int32_t>((nibbles[j] & 15u) | ((high >> j & 1u) << 4));
    codes[j + 16] = static_cast<int32_t>((nibbles[j] >> 4) | ((high >> (j + 16) & 1u) << 4));
  }
}

void decodeBlock(const BlockQ5_0 &block, float *out) {
  float d = halfToFloat(block.d);
  int32_t codes[32];
  fiveBitCodes(block.nibbles, block.fifthBits, codes);
  for (int j = 0; j < 32; ++j)
    out[j] = d * static_cast<float>(codes[j] - 16);
}

void decodeBlock(const BlockQ5_1 &block, float *out) {
  float d = halfToFloat(block.d), m = halfToFloat(block.m);
  int32_t codes[32];
  fiveBitCodes(block.nibbles, block.fifthBits, codes);
  for (int j = 0; j < 32; ++j)
    out[j] = d * static_cast<float>(codes[j]) + m;
}

void decodeBlock(const BlockQ8_0 &block, float *out) {
  float d = halfToFloat(block.d);
  for (int j = 0; j < 32; ++j)
    out[j] = d * static_cast<float>(block.codes[j]);
}

void decodeBlock(const BlockQ6_K &block, float *out) {
  float d = halfToFloat(block.d);
  for (int half = 0; half < 2; ++half)
    for (int t = 0; t < 4; ++t)
      for (int part = 0; part < 2; ++part) {
        float scale = d * static_cast<float>(block.scales[8 * half + 2 * t + part]);
        const uint8_t *low = block.low[half] + 32 * (t % 2) + 16 * part;
        const uint8_t *high = block.high[half] + 16 * part;
        float *to = out + 128 * half + 32 * t + 16 * part;
        for (int j = 0; j < 16; ++j) {
          int code = (low[j] >> (4 * (t / 2)) & 15) | (high[j] >> (2 * t) & 3) << 4;
          to[j] = scale * static_cast<float>(code - 32);
        }
      }
}

template <typename Block> void decodeBlocks(ElementFormat format, std::span<const std::byte> source, float *out) {
  uint32_t elements = info(format).blockElements;
  for (size_t at = 0; at < source.size(); at += sizeof(Block), out += elements) {
    Block block;
    std::memcpy(&block, source.data() + at, sizeof block);
    decodeBlock(block, out);
  }
}

/// out[i] = convert(the i-th T of source), which needs no alignment.
template <typename T, typename Convert>
void convertEach(std::span<const std::byte> source, std::span<float> out, Convert convert) {
  for (size_t i = 0; i < out.size(); ++i) {
    T value;
    std::memcpy(&value, source.data() + i * sizeof(T), sizeof value);
    out[i] = convert(value);
  }
}

} // namespace

bool isDecodable(ElementFormat format) {
  switch (format) {
  case ElementFormat::F32:
  case ElementFormat::F16:
  case ElementFormat::BF16:
  case ElementFormat::F64:
  case ElementFormat::Q4_0:
  case ElementFormat::Q4_1:
  case ElementFormat::Q5_0:
  case ElementFormat::Q5_1:
  case ElementFormat::Q8_0:
  case ElementFormat::Q6_K:
    return true;
  case ElementFormat::I8:
  case ElementFormat::U8:
  case ElementFormat::I16:
  case ElementFormat::I32:
  case ElementFormat::I64:
  case ElementFormat::Bool:
    return false;
  }
  return false;
}

void decodeToF32(ElementFormat format, std::span<const std::byte> source, std::span<float> out) {
  if (out.empty() || storageBytes(format, out.size()) != source.size())
    return;
  switch (format) {
  case ElementFormat::F32:
    std::memcpy(out.data(), source.data(), source.size());
    return;
  case ElementFormat::F16:
    return convertEach<uint16_t>(source, out, halfToFloat);
  case ElementFormat::BF16:
    return convertEach<uint16_t>(source, out, bfloat16ToFloat);
  case ElementFormat::F64:
    return convertEach<double>(source, out, [](double value) { return static_cast<float>(value); });
  case ElementFormat::Q4_0:
    return decodeBlocks<BlockQ4_0>(format, source, out.data());
  case ElementFormat::Q4_1:
    return decodeBlocks<BlockQ4_1>(format, source, out.data());
  case ElementFormat::Q5_0:
    return decodeBlocks<BlockQ5_0>(format, source, out.data());
  case ElementFormat::Q5_1:
    return decodeBlocks<BlockQ5_1>(format, source, out.data());
  case ElementFormat::Q8_0:
    return decodeBlocks<BlockQ8_0>(format, source, out.data());
  case ElementFormat::Q6_K:
    return decodeBlocks<BlockQ6_K>(format, source, out.data());
  case ElementFormat::I8:
  case ElementFormat::U8:
  case ElementFormat::I16:
  case ElementFormat::I32:
  case ElementFormat::I64:
  case ElementFormat::Bool:
    return;
  }
}

} // namespace qopt
