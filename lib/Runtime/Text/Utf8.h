// UTF-8 as the tokenizer and the chat templates need it: where a valid character ends, what is white space, and how a
// code point is written. Broken bytes are data here, never an error: they must survive a round trip.
#ifndef QOPT_LIB_RUNTIME_TEXT_UTF8_H
#define QOPT_LIB_RUNTIME_TEXT_UTF8_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace qopt {

/// What the first bytes of a text are. `length` is in bytes and at least 1 for a text that is not empty.
struct Utf8Step {
  enum class Kind : uint8_t {
    Character, ///< a valid character of `length` bytes
    Broken,    ///< `length` bytes (1) that no character can start with
    Cut        ///< all that is left, and a valid character's beginning: more bytes could complete it
  };
  Kind kind;
  uint8_t length;
  char32_t character; ///< set for Character
};

/// Looks at the first character of `text`, which is not empty. Surrogates, overlong forms and values above U+10FFFF
/// are broken (RFC 3629).
Utf8Step utf8Step(std::string_view text);

/// The number of leading bytes of `text` that are valid UTF-8.
size_t validUtf8Prefix(std::string_view text);

inline bool isValidUtf8(std::string_view text) { return validUtf8Prefix(text) == text.size(); }

/// Appends `character` (a Unicode scalar value) as UTF-8.
void appendUtf8(std::string &out, char32_t character);

/// The number of characters of `text`; each broken byte counts as one.
size_t countCharacters(std::string_view text);

/// Where `part` first is in `text` from `from` on, or npos. Takes linear time for every `part`, where the standard
/// library's find may compare each of its bytes at each place.
size_t findText(std::string_view text, std::string_view part, size_t from = 0);

/// Unicode's White_Space property: what `\s` means to the regular expressions of tokenizers.
bool isUnicodeWhiteSpace(char32_t character);

/// What Python's str.strip() removes: White_Space and the four separators U+001C to U+001F.
bool isPythonSpace(char32_t character);

/// `text` without leading (and trailing) white space as Python's str.strip() sees it.
std::string_view trimStart(std::string_view text);
std::string_view trimEnd(std::string_view text);

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TEXT_UTF8_H
