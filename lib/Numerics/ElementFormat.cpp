// The one table of names and block sizes; see the header.
#include "lib/Numerics/ElementFormat.h"

#include <cstddef>
#include <iterator>

namespace qopt {

/// In the order of the enumeration.
static constexpr ElementFormatInfo formats[] = {
    {"f32", 1, 4},    {"f16", 1, 2},    {"bf16", 1, 2},   {"f64", 1, 8},      {"i8", 1, 1},     {"u8", 1, 1},
    {"i16", 1, 2},    {"i32", 1, 4},    {"i64", 1, 8},    {"bool", 1, 1},     {"q4_0", 32, 18}, {"q4_1", 32, 20},
    {"q5_0", 32, 22}, {"q5_1", 32, 24}, {"q8_0", 32, 34}, {"q6_k", 256, 210},
};
static_assert(std::size(formats) == static_cast<size_t>(ElementFormat::Q6_K) + 1);

const ElementFormatInfo &info(ElementFormat format) { return formats[static_cast<size_t>(format)]; }

std::optional<ElementFormat> parseElementFormat(std::string_view name) {
  for (size_t i = 0; i < std::size(formats); ++i)
    if (formats[i].name == name)
      return static_cast<ElementFormat>(i);
  return std::nullopt;
}

std::optional<uint64_t> storageBytes(ElementFormat format, uint64_t elements) {
  const ElementFormatInfo &block = info(format);
  uint64_t bytes;
  if (elements % block.blockElements != 0 ||
      __builtin_mul_overflow(elements / block.blockElements, uint64_t{block.blockBytes}, &bytes))
    return std::nullopt;
  return bytes;
}

} // namespace qopt
