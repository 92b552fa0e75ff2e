// A table-free check: the second byte of a sequence has a range of its own, all later ones share one.
#include "lib/Archive/Utf8.h"

#include <cstddef>
#include <cstdint>

namespace qopt {

bool isUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    uint8_t lead = static_cast<uint8_t>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    // The bytes that follow, and the range of the first of them: that range excludes overlong forms and surrogates.
    size_t following = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (lead < 0xC2 || lead > 0xF4 || text.size() - i <= following)
      return false;
    for (size_t j = 1; j <= following; ++j) {
      uint8_t byte = static_cast<uint8_t>(text[i + j]);
      if (byte < low || byte > high)
        return false;
      low = 0x80;
      high = 0xBF;
    }
    i += following + 1;
  }
  return true;
}

} // namespace qopt
