// See BytePairMerger.h.
#include "lib/Runtime/Text/BytePairMerger.h"

#include "lib/Runtime/Text/ByteAlphabet.h"
#include "lib/Runtime/Text/Utf8.h"

#include <algorithm>
#include <bit>
#include <functional>

namespace qopt {

/// Up to this many symbols, looking at every pair again beats a heap.
static constexpr size_t shortPiece = 40;

static uint64_t pairKey(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

static size_t hashPair(uint64_t key, int shift) { return (key ^ key >> 29) * 0x9E3779B97F4A7C15u >> shift; }

BytePairMerger::BytePairMerger(const TokenizerSpec &spec, const std::vector<int32_t> &results)
    : unknown(spec.unknown.value_or(-1)), fuseUnknown(spec.fuseUnknown), results(results) {
  byteIds.fill(-1);
  std::array<std::string, 256> alphabet;
  for (int byte = 0; byte < 256; ++byte)
    appendUtf8(alphabet[byte], byteToCharacter(static_cast<uint8_t>(byte)));
  for (size_t id = 0; id < spec.tokens.size(); ++id)
    if (spec.tokens[id].size() <= 2 && !spec.tokens[id].empty())
      if (const auto bytes = bytesOfToken(spec.tokens[id]); bytes && bytes->size() == 1)
        byteIds[static_cast<uint8_t>((*bytes)[0])] = static_cast<int32_t>(id);

  const size_t capacity = std::bit_ceil(std::max<size_t>(16, spec.merges.size() * 2));
  shift = 64 - std::countr_zero(capacity);
  slots.resize(capacity);
  for (size_t rank = 0; rank < spec.merges.size(); ++rank) {
    const uint64_t key = pairKey(spec.merges[rank].first, spec.merges[rank].second);
    size_t at = hashPair(key, shift);
    while (slots[at].pair != UINT64_MAX)
      at = (at + 1) & (capacity - 1);
    slots[at] = {key, static_cast<uint32_t>(rank)};
  }
}

uint32_t BytePairMerger::rankOf(int32_t left, int32_t right) const {
  const uint64_t key = pairKey(left, right);
  for (size_t at = hashPair(key, shift);; at = (at + 1) & (slots.size() - 1)) {
    if (slots[at].pair == key)
      return slots[at].rank;
    if (slots[at].pair == UINT64_MAX)
      return none;
  }
}

void BytePairMerger::merge(std::string_view bytes, std::vector<int32_t> &ids, size_t &dropped) const {
  int32_t local[shortPiece];
  std::vector<int32_t> longer;
  int32_t *symbols = local;
  if (bytes.size() > shortPiece) {
    longer.resize(bytes.size());
    symbols = longer.data();
  }
  size_t count = 0;
  bool lastUnknown = false;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const int32_t id = byteIds[static_cast<uint8_t>(bytes[i])];
    if (id >= 0) {
      symbols[count++] = id;
      lastUnknown = false;
    } else if (unknown >= 0) {
      if (!(lastUnknown && fuseUnknown))
        symbols[count++] = unknown;
      lastUnknown = true;
    } else {
      ++dropped;
    }
  }
  if (bytes.size() <= shortPiece)
    return mergeShort(symbols, count, ids);
  longer.resize(count);
  mergeLong(longer, ids);
}

void BytePairMerger::mergeShort(int32_t *symbols, size_t count, std::vector<int32_t> &ids) const {
  uint32_t ranks[shortPiece]; // ranks[i]: the pair (i, i + 1)
  for (size_t i = 0; i + 1 < count; ++i)
    ranks[i] = rankOf(symbols[i], symbols[i + 1]);
  while (count > 1) {
    const size_t best = std::min_element(ranks, ranks + count - 1) - ranks; // the first of equals
    if (ranks[best] == none)
      break;
    symbols[best] = results[ranks[best]];
    std::copy(symbols + best + 2, symbols + count, symbols + best + 1);
    std::copy(ranks + best + 1, ranks + count - 1, ranks + best);
    --count;
    if (best > 0)
      ranks[best - 1] = rankOf(symbols[best - 1], symbols[best]);
    if (best + 1 < count)
      ranks[best] = rankOf(symbols[best], symbols[best + 1]);
  }
  ids.insert(ids.end(), symbols, symbols + count);
}

void BytePairMerger::mergeLong(std::vector<int32_t> &symbols, std::vector<int32_t> &ids) const {
  // A linked list of symbols and a heap of candidate merges, rank above position. A candidate is stale when its pair
  // has changed since; a symbol that was merged into its left neighbour is -1.
  const auto count = static_cast<int32_t>(symbols.size());
  std::vector<int32_t> next(symbols.size()), previous(symbols.size());
  std::vector<uint64_t> heap;
  heap.reserve(symbols.size());
  const auto descending = std::greater<uint64_t>();
  for (int32_t i = 0; i < count; ++i) {
    next[i] = i + 1 < count ? i + 1 : -1;
    previous[i] = i - 1;
    if (i + 1 < count)
      if (const uint32_t rank = rankOf(symbols[i], symbols[i + 1]); rank != none)
        heap.push_back(static_cast<uint64_t>(rank) << 32 | static_cast<uint32_t>(i));
  }
  std::make_heap(heap.begin(), heap.end(), descending);
  auto push = [&](int32_t at) {
    if (const uint32_t rank = rankOf(symbols[at], symbols[next[at]]); rank != none) {
      heap.push_back(static_cast<uint64_t>(rank) << 32 | static_cast<uint32_t>(at));
      std::push_heap(heap.begin(), heap.end(), descending);
    }
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), descending);
    const auto rank = static_cast<uint32_t>(heap.back() >> 32);
    const auto at = static_cast<int32_t>(heap.back() & UINT32_MAX);
    heap.pop_back();
    const int32_t right = next[at];
    if (symbols[at] < 0 || right < 0 || rankOf(symbols[at], symbols[right]) != rank)
      continue;
    symbols[at] = results[rank];
    symbols[right] = -1;
    next[at] = next[right];
    if (next[right] >= 0)
      previous[next[right]] = at;
    if (previous[at] >= 0)
      push(previous[at]);
    if (next[at] >= 0)
      push(at);
  }
  for (int32_t at = 0; at >= 0 && at < count; at = next[at])
    ids.push_back(symbols[at]);
}

} // namespace qopt
