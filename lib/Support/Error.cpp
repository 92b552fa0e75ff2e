#include "lib/Support/Error.h"

#include <cstdio>

namespace qopt {

std::string Error::format() const {
  std::string text = "error: " + rule + "\n";
  if (!where.empty())
    text += "  in: " + where + "\n";
  if (!outcome.empty())
    text += "  result: " + outcome + "\n";
  if (!next.empty())
    text += "  next: " + next + "\n";
  return text;
}

/// The length of the valid UTF-8 sequence at the start of `text`, or 0.
static size_t validSequence(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char lead = byte(0);
  size_t length = lead < 0x80                   ? 1
                  : lead >= 0xC2 && lead < 0xE0 ? 2
                  : lead >= 0xE0 && lead < 0xF0 ? 3
                  : lead >= 0xF0 && lead < 0xF5 ? 4
                                                : 0;
  if (length == 0 || length > text.size())
    return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80)
      return 0;
  if ((lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xED && byte(1) > 0x9F) || (lead == 0xF0 && byte(1) < 0x90) ||
      (lead == 0xF4 && byte(1) > 0x8F))
    return 0;
  return length;
}

std::string escapeForMessage(std::string_view text, size_t limit) {
  std::string out;
  while (!text.empty()) {
    if (out.size() >= limit)
      return out + "…";
    unsigned char lead = static_cast<unsigned char>(text[0]);
    size_t length = lead < 0x20 || lead == 0x7F ? 0 : validSequence(text);
    // C1 controls can drive a terminal as well as C0 controls do.
    if (length == 2 && lead == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0)
      length = 0;
    if (length == 0) {
      char buffer[8];
      std::snprintf(buffer, sizeof buffer, "\\x%02X", lead);
      out += buffer;
      text.remove_prefix(1);
      continue;
    }
    out += text.substr(0, length);
    text.remove_prefix(length);
  }
  return out;
}

} // namespace qopt
