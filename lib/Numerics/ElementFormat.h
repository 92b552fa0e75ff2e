// The number formats in which an archive may hold a tensor: their names, and the size of their blocks.
//
// A plain format is a block of one element. GGUF's block formats hold 32 or 256 consecutive elements of a row
// together with the scales they share; how a block's bytes become numbers is in Decode.h.
#ifndef QOPT_LIB_NUMERICS_ELEMENTFORMAT_H
#define QOPT_LIB_NUMERICS_ELEMENTFORMAT_H

#include <cstdint>
#include <optional>
#include <string_view>

namespace qopt {

enum class ElementFormat : uint8_t {
  F32,
  F16,
  BF16,
  F64,
  I8,
  U8,
  I16,
  I32,
  I64,
  Bool,
  Q4_0,
  Q4_1,
  Q5_0,
  Q5_1,
  Q8_0,
  Q6_K
};

/// How many enumerators ElementFormat has; they are 0 .. elementFormatCount - 1.
inline constexpr int elementFormatCount = 16;

struct ElementFormatInfo {
  std::string_view name;  ///< "f32", "q4_1": lower case, as our IR and messages write it
  uint32_t blockElements; ///< elements of one block; 1 for a plain format
  uint32_t blockBytes;    ///< bytes of one block
};

/// Name and block size of `format`.
const ElementFormatInfo &info(ElementFormat format);

/// The format whose name is exactly `name` ("bf16"), or nothing.
std::optional<ElementFormat> parseElementFormat(std::string_view name);

/// Bytes that `elements` consecutive elements take; nothing if they end inside a block or the size overflows 64 bits.
/// Blocks run along a row, so ask once for a row and multiply, or know that rows are whole blocks.
std::optional<uint64_t> storageBytes(ElementFormat format, uint64_t elements);

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_ELEMENTFORMAT_H
