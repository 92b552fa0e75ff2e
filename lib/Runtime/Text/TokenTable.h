// Token texts to ids: an open-addressing table over a vocabulary that lives elsewhere. A tokenizer is read each time a
// model starts, and a node for each of 49,152 tokens made half of that time.
#ifndef QOPT_LIB_RUNTIME_TEXT_TOKENTABLE_H
#define QOPT_LIB_RUNTIME_TEXT_TOKENTABLE_H

#include <algorithm>
#include <bit>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {

class TokenTable {
public:
  /// `tokens` must outlive the table and keep its elements where they are.
  explicit TokenTable(std::span<const std::string> tokens)
      : tokens(tokens), slots(std::bit_ceil(std::max<size_t>(16, tokens.size() * 2)), Slot{0, -1}) {}

  /// Adds tokens[id]. Returns the id that has the same text already, or -1.
  int32_t insert(int32_t id) {
    const uint32_t hash = hashOf(tokens[id]);
    Slot &slot = slots[locate(tokens[id], hash)];
    if (slot.id >= 0)
      return slot.id;
    slot = {hash, id};
    return -1;
  }

  /// The id of `text`, or -1.
  int32_t find(std::string_view text) const { return slots[locate(text, hashOf(text))].id; }

private:
  struct Slot {
    uint32_t hash;
    int32_t id;
  };

  static uint32_t hashOf(std::string_view text) { return static_cast<uint32_t>(std::hash<std::string_view>()(text)); }

  size_t locate(std::string_view text, uint32_t hash) const {
    size_t at = hash & (slots.size() - 1);
    while (slots[at].id >= 0 && (slots[at].hash != hash || tokens[slots[at].id] != text))
      at = (at + 1) & (slots.size() - 1);
    return at;
  }

  std::span<const std::string> tokens;
  std::vector<Slot> slots;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TEXT_TOKENTABLE_H
