// See Utf8.h.
#include "lib/Runtime/Text/Utf8.h"

#include <cstring>

namespace qopt {

Utf8Step utf8Step(std::string_view text) {
  using Kind = Utf8Step::Kind;
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80)
    return {Kind::Character, 1, lead};
  if (lead < 0xC2 || lead > 0xF4)
    return {Kind::Broken, 1, 0};
  const uint8_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t character = lead & (0xFF >> (length + 1));
  for (uint8_t i = 1; i < length; ++i) {
    if (i >= text.size())
      return {Kind::Cut, i, 0};
    const unsigned char next = byte(i);
    // The second byte's range is narrower for these leads: no overlong forms, no surrogates, nothing above U+10FFFF.
    const unsigned char low = i == 1 && lead == 0xE0 ? 0xA0 : i == 1 && lead == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = i == 1 && lead == 0xED ? 0x9F : i == 1 && lead == 0xF4 ? 0x8F : 0xBF;
    if (next < low || next > high)
      return {Kind::Broken, 1, 0};
    character = character << 6 | (next & 0x3F);
  }
  return {Kind::Character, length, character};
}

size_t validUtf8Prefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    // Eight ASCII bytes at a time: most of what people write to a model.
    uint64_t word;
    while (at + sizeof word <= text.size()) {
      std::memcpy(&word, text.data() + at, sizeof word);
      if (word & 0x8080808080808080u)
        break;
      at += sizeof word;
    }
    if (at == text.size())
      break;
    const Utf8Step step = utf8Step(text.substr(at));
    if (step.kind != Utf8Step::Kind::Character)
      break;
    at += step.length;
  }
  return at;
}

void appendUtf8(std::string &out, char32_t character) {
  auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (character < 0x80) {
    put(character);
  } else if (character < 0x800) {
    put(0xC0 | character >> 6);
    put(0x80 | (character & 0x3F));
  } else if (character < 0x10000) {
    put(0xE0 | character >> 12);
    put(0x80 | (character >> 6 & 0x3F));
    put(0x80 | (character & 0x3F));
  } else {
    put(0xF0 | character >> 18);
    put(0x80 | (character >> 12 & 0x3F));
    put(0x80 | (character >> 6 & 0x3F));
    put(0x80 | (character & 0x3F));
  }
}

size_t countCharacters(std::string_view text) {
  size_t count = 0;
  for (; !text.empty(); ++count)
    text.remove_prefix(utf8Step(text).length);
  return count;
}

size_t findText(std::string_view text, std::string_view part, size_t from) {
  if (from > text.size())
    return std::string_view::npos;
  const std::string_view rest = text.substr(from);
  // glibc's is the two-way algorithm, or for short parts one with the same bound.
  const void *found = memmem(rest.data(), rest.size(), part.data(), part.size());
  return found ? static_cast<const char *>(found) - text.data() : std::string_view::npos;
}

bool isUnicodeWhiteSpace(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool isPythonSpace(char32_t c) { return isUnicodeWhiteSpace(c) || (c >= 0x1C && c <= 0x1F); }

std::string_view trimStart(std::string_view text) {
  while (!text.empty()) {
    const Utf8Step step = utf8Step(text);
    if (step.kind != Utf8Step::Kind::Character || !isPythonSpace(step.character))
      break;
    text.remove_prefix(step.length);
  }
  return text;
}

std::string_view trimEnd(std::string_view text) {
  while (!text.empty()) {
    size_t start = text.size() - 1;
    while (start > 0 && text.size() - start < 4 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80)
      --start;
    const Utf8Step step = utf8Step(text.substr(start));
    if (step.kind != Utf8Step::Kind::Character || step.length != text.size() - start || !isPythonSpace(step.character))
      break;
    text.remove_suffix(step.length);
  }
  return text;
}

} // namespace qopt
