// See AddedTokenMatcher.h.
#include "lib/Runtime/Text/AddedTokenMatcher.h"

#include "lib/Runtime/Text/Utf8.h"

#include <algorithm>

namespace qopt {

AddedTokenMatcher::AddedTokenMatcher(const TokenizerSpec &spec, bool normalized) {
  roots.fill(-1);
  for (const AddedToken &token : spec.added)
    if (token.normalized == normalized) {
      insert(spec.tokens[token.id], static_cast<int32_t>(tokens.size()));
      tokens.push_back(token);
    }
}

void AddedTokenMatcher::insert(std::string_view text, int32_t token) {
  // A link is an index into `nodes` or a root; it is written after the new node exists, because `nodes` may move.
  int32_t parent = -1;
  for (char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    int32_t at = parent < 0 ? roots[byte] : nodes[parent].child;
    while (at >= 0 && nodes[at].byte != byte)
      at = nodes[at].sibling;
    if (at < 0) {
      at = static_cast<int32_t>(nodes.size());
      nodes.push_back({-1, -1, parent < 0 ? -1 : nodes[parent].child, byte});
      (parent < 0 ? roots[byte] : nodes[parent].child) = at;
    }
    parent = at;
  }
  nodes[parent].token = token;
}

int32_t AddedTokenMatcher::longest(std::string_view text, size_t &length) const {
  int32_t found = -1;
  int32_t at = roots[static_cast<uint8_t>(text[0])];
  for (size_t depth = 1; at >= 0; ++depth) {
    if (nodes[at].token >= 0) {
      found = nodes[at].token;
      length = depth;
    }
    if (depth == text.size())
      break;
    const auto byte = static_cast<uint8_t>(text[depth]);
    for (at = nodes[at].child; at >= 0 && nodes[at].byte != byte;)
      at = nodes[at].sibling;
  }
  return found;
}

/// The number of bytes of white space that `text` ends with.
static size_t spaceAtEnd(std::string_view text) {
  size_t bytes = 0;
  while (bytes < text.size()) {
    size_t start = text.size() - bytes - 1;
    while (start > 0 && (static_cast<uint8_t>(text[start]) & 0xC0) == 0x80)
      --start;
    const Utf8Step step = utf8Step(text.substr(start, text.size() - bytes - start));
    if (step.kind != Utf8Step::Kind::Character || start + step.length + bytes != text.size() ||
        !isUnicodeWhiteSpace(step.character))
      break;
    bytes += step.length;
  }
  return bytes;
}

static size_t spaceAtStart(std::string_view text) {
  size_t bytes = 0;
  while (bytes < text.size()) {
    const Utf8Step step = utf8Step(text.substr(bytes));
    if (step.kind != Utf8Step::Kind::Character || !isUnicodeWhiteSpace(step.character))
      break;
    bytes += step.length;
  }
  return bytes;
}

void AddedTokenMatcher::cut(std::string_view text, bool recognizeSpecial, std::vector<TextSegment> &out) const {
  size_t taken = 0; // all before it is in `out`
  for (size_t at = 0; at < text.size();) {
    size_t length = 0;
    const int32_t index = longest(text.substr(at), length);
    if (index < 0) {
      ++at;
      continue;
    }
    const AddedToken &token = tokens[index];
    size_t start = at, end = at + length;
    at = end;
    if (token.special && !recognizeSpecial)
      continue;
    if (token.leftStrip)
      start = std::max(taken, start - spaceAtEnd(text.substr(0, start)));
    if (token.rightStrip)
      end += spaceAtStart(text.substr(end));
    start = std::max(start, taken); // the token before may have taken white space that this one begins with
    if (taken < start)
      out.push_back({text.substr(taken, start - taken), -1});
    out.push_back({text.substr(start, std::max(end, start) - start), token.id});
    taken = std::max(taken, end);
  }
  if (taken < text.size())
    out.push_back({text.substr(taken), -1});
}

} // namespace qopt
