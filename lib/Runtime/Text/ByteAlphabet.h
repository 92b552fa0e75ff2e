// The byte-level alphabet: one printable character for each byte, so that a vocabulary of byte strings can be written
// as text. Source: GPT-2 (Radford et al., 2019). Printable Latin-1 stands for itself; the other 68 bytes take the code
// points from U+0100 on, in ascending order.
#ifndef QOPT_LIB_RUNTIME_TEXT_BYTEALPHABET_H
#define QOPT_LIB_RUNTIME_TEXT_BYTEALPHABET_H

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qopt {

/// The character that stands for `byte` (0 to 255).
char32_t byteToCharacter(uint8_t byte);

/// The bytes that `token` stands for, or nothing if it holds a character outside of the alphabet.
std::optional<std::string> bytesOfToken(std::string_view token);

/// `bytes` in the alphabet.
std::string tokenOfBytes(std::string_view bytes);

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TEXT_BYTEALPHABET_H
