// The table of element formats: one line each.
#include "lib/Numerics/ElementFormat.h"

#include <array>

namespace qopt {

static constexpr std::array<ElementFormatInfo, elementFormatCount> table = {{
    {"f32", 1, 4},
    {"f16", 1, 2},
    {"bf16", 1, 2},
    {"f64", 1, 8},
    {"i8", 1, 1},
    {"u8", 1, 1},
    {"i16", 1, 2},
    {"i32", 1, 4},
    {"i64", 1, 8},
    {"bool", 1, 1},
    {"q4_0", 32, 18},
    {"q4_1", 32, 20},
    {"q5_0", 32, 22},
    {"q5_1", 32, 24},
    {"q8_0", 32, 34},
    {"q6_k", 256, 210},
}};
static_assert(static_cast<int>(ElementFormat::Q6_K) + 1 == elementFormatCount, "one line for each enumerator");

const ElementFormatInfo &info(ElementFormat format) { return table[static_cast<size_t>(format)]; }

std::optional<ElementFormat> parseElementFormat(std::string_view name) {
  for (size_t i = 0; i < table.size(); ++i)
    if (table[i].name == name)
      return static_cast<ElementFormat>(i);
  return std::nullopt;
}

std::optional<uint64_t> storageBytes(ElementFormat format, uint64_t elements) {
  const ElementFormatInfo &block = info(format);
  if (elements % block.blockElements != 0)
    return std::nullopt;
  uint64_t bytes = 0;
  if (__builtin_mul_overflow(elements / block.blockElements, uint64_t{block.blockBytes}, &bytes))
    return std::nullopt;
  return bytes;
}

} // namespace qopt
