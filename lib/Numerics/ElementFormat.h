// The element formats that a tensor in an archive can have, and how many bytes they take.
//
// A format stores elements in blocks along the innermost axis: plain formats have blocks of one element, the GGUF
// formats blocks of 32 or 256 that carry their own scale.
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

struct ElementFormatInfo {
  std::string_view name;  ///< our spelling: "f32", "q4_1"
  uint32_t blockElements; ///< elements in one block
  uint32_t blockBytes;    ///< bytes of one block
};

/// Name and block size of a format.
const ElementFormatInfo &info(ElementFormat format);

/// The format that has this name (lower case, as in ElementFormatInfo), or nothing.
std::optional<ElementFormat> parseElementFormat(std::string_view name);

/// Bytes that `elements` elements take; nothing if they do not fill their last block or the bytes overflow 64 bits.
std::optional<uint64_t> storageBytes(ElementFormat format, uint64_t elements);

} // namespace qopt

#endif // QOPT_LIB_NUMERICS_ELEMENTFORMAT_H
