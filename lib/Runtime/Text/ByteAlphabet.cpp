// See ByteAlphabet.h.
#include "lib/Runtime/Text/ByteAlphabet.h"

#include "lib/Runtime/Text/Utf8.h"

namespace qopt {

/// Printable and not a space in Latin-1; U+00AD, the soft hyphen, is neither.
static constexpr bool standsForItself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

static constexpr std::array<uint16_t, 256> characters = [] {
  std::array<uint16_t, 256> table{};
  uint16_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte)
    table[byte] = standsForItself(byte) ? static_cast<uint16_t>(byte) : next++;
  return table;
}();
static_assert(characters[' '] == 0x120 && characters['\n'] == 0x10A && characters[0xAD] == 0x143);

static constexpr std::array<int16_t, 0x144> bytes = [] {
  std::array<int16_t, 0x144> table{};
  table.fill(-1);
  for (int byte = 0; byte < 256; ++byte)
    table[characters[byte]] = static_cast<int16_t>(byte);
  return table;
}();

char32_t byteToCharacter(uint8_t byte) { return characters[byte]; }

std::optional<std::string> bytesOfToken(std::string_view token) {
  std::string out;
  out.reserve(token.size());
  while (!token.empty()) {
    const Utf8Step step = utf8Step(token);
    if (step.kind != Utf8Step::Kind::Character || step.character >= bytes.size() || bytes[step.character] < 0)
      return std::nullopt;
    out.push_back(static_cast<char>(bytes[step.character]));
    token.remove_prefix(step.length);
  }
  return out;
}

std::string tokenOfBytes(std::string_view text) {
  std::string out;
  for (char byte : text)
    appendUtf8(out, byteToCharacter(static_cast<uint8_t>(byte)));
  return out;
}

} // namespace qopt
