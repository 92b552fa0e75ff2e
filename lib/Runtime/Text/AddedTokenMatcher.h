// Finds added tokens in text: leftmost first, the longest of those that start at one place, as Hugging Face does.
#ifndef QOPT_LIB_RUNTIME_TEXT_ADDEDTOKENMATCHER_H
#define QOPT_LIB_RUNTIME_TEXT_ADDEDTOKENMATCHER_H

#include "lib/Runtime/Text/TokenizerSpec.h"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace qopt {

/// A stretch of text: an added token, or (id -1) text between them.
struct TextSegment {
  std::string_view text;
  int32_t id = -1;
};

/// A trie of the added tokens. Immutable.
class AddedTokenMatcher {
public:
  /// Takes the tokens of `spec` whose `normalized` flag is `normalized`.
  AddedTokenMatcher(const TokenizerSpec &spec, bool normalized);

  /// Appends the segments of `text`, in order and none empty. A special token that is not to be recognized stays text,
  /// and so does any token inside of it.
  void cut(std::string_view text, bool recognizeSpecial, std::vector<TextSegment> &out) const;

  bool empty() const { return tokens.empty(); }

private:
  struct Node {
    int32_t token = -1;   ///< index into tokens
    int32_t child = -1;   ///< first child
    int32_t sibling = -1; ///< next child of the same parent
    uint8_t byte = 0;
  };

  void insert(std::string_view text, int32_t token);
  /// The longest token at the start of `text`, or -1.
  int32_t longest(std::string_view text, size_t &length) const;

  std::vector<AddedToken> tokens;
  std::vector<Node> nodes;
  std::array<int32_t, 256> roots;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TEXT_ADDEDTOKENMATCHER_H
