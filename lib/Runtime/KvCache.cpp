//===-- KvCache.cpp - Paged keys and values, shared between sequences
//-------------------------------------------------===//
//
// A sequence of n tokens holds ceil(n / blockTokens) blocks. Positions below a sequence's length are never written
// again while another sequence shares their block, so sharing whole blocks is free; a block that is shared and partly
// filled is copied by whoever appends to it first (one memcpy, the block is opaque), after which the others may own
// theirs alone.
//
// The paging follows Kwon et al., "Efficient Memory Management for Large Language Model Serving with PagedAttention"
// (SOSP 2023), section 4.
//
//===------------------------------------------------------------------------------------------------------------------===//
#include "lib/Runtime/KvCache.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace qopt {

KvCache::KvCache(const KvCacheShape &shape, Pages pages)
    : measures(shape), tableWidth(blocksFor(shape.sequenceTokens)), memory(std::move(pages)) {}

Result<std::unique_ptr<KvCache>> KvCache::create(const KvCacheShape &shape) {
  if (shape.blockTokens < 1 || shape.blockBytes < 1 || shape.blocks < 1 || shape.sequenceTokens < 1 ||
      shape.blocks > INT32_MAX || shape.blockBytes > INT64_MAX / shape.blocks)
    return usageError("expected a KV cache of at least one block and at most 2^31, but got " +
                      std::to_string(shape.blocks) + " blocks of " + std::to_string(shape.blockBytes) + " bytes");
  Result<Pages> pages =
      Pages::allocate(static_cast<uint64_t>(shape.blocks) * static_cast<uint64_t>(shape.blockBytes), false, "KV cache");
  if (!pages)
    return pages.takeError().withNext("ask for a cache of fewer tokens");
  std::unique_ptr<KvCache> cache(new KvCache(shape, std::move(*pages)));
  // From here on blocks change hands without allocating: append() is all or nothing also where memory runs out, and
  // what gives blocks back cannot fail. This takes address space only until a block is used, as the blocks themselves
  // do.
  cache->references.reserve(static_cast<size_t>(shape.blocks));
  cache->releasedBlocks.reserve(static_cast<size_t>(shape.blocks));
  return cache;
}

Status KvCache::check(SequenceId sequence) const {
  uint64_t index = static_cast<uint64_t>(sequence) & 0xFFFFFFFF;
  uint64_t uses = static_cast<uint64_t>(sequence) >> 32;
  if (sequence < 0 || index >= slots.size() || slots[index].uses != uses || uses % 2 == 0)
    return usageError("expected a live sequence of this context, but got id " + std::to_string(sequence));
  return {};
}

/// All memory first, then what cannot throw: a slot without a row in the table would be written past its end. A row
/// without a slot, which a throw in between leaves, is taken by the next one.
void KvCache::addSlot() {
  table.resize((slots.size() + 1) * tableWidth, 0);
  if (slots.size() == slots.capacity())
    slots.reserve(std::max<size_t>(8, 2 * slots.size()));
  freeSlots.reserve(slots.capacity()); // also for freeSequence(), which must not fail half way
  freeSlots.push_back(static_cast<int32_t>(slots.size()));
  slots.emplace_back();
}

Result<SequenceId> KvCache::createSequence() {
  if (freeSlots.empty()) {
    if (slots.size() >= INT32_MAX)
      return resourceError("too many sequences in one context");
    addSlot();
  }
  int32_t index = freeSlots.back();
  freeSlots.pop_back();
  Slot &slot = slots[index];
  slot.length = 0;
  slot.uses = (slot.uses + 1) & 0x7FFFFFFF; // even to odd; the id stays positive
  return (static_cast<int64_t>(slot.uses) << 32) | index;
}

Result<SequenceId> KvCache::fork(SequenceId parent) {
  if (Status status = check(parent); !status)
    return status.takeError();
  Result<SequenceId> child = createSequence();
  if (!child)
    return child;
  slot(*child).length = slot(parent).length;
  int64_t shared = blocksFor(slot(parent).length);
  for (int64_t i = 0; i < shared; ++i) {
    row(*child)[i] = row(parent)[i];
    ++references[row(parent)[i]];
  }
  return child;
}

Status KvCache::truncate(SequenceId sequence, int64_t length) {
  if (Status status = check(sequence); !status)
    return status;
  if (length < 0 || length > slot(sequence).length)
    return usageError("expected a length of 0 to " + std::to_string(slot(sequence).length) +
                      " to truncate to, but got " + std::to_string(length));
  shrink(sequence, length);
  return {};
}

Status KvCache::freeSequence(SequenceId sequence) {
  if (Status status = check(sequence); !status)
    return status;
  shrink(sequence, 0);
  slot(sequence).uses = (slot(sequence).uses + 1) & 0x7FFFFFFF;
  freeSlots.push_back(slotOf(sequence));
  return {};
}

Result<int64_t> KvCache::length(SequenceId sequence) const {
  if (Status status = check(sequence); !status)
    return status.takeError();
  return slot(sequence).length;
}

Status KvCache::append(std::span<const Append> appends) {
  for (const Append &append : appends) {
    if (Status status = check(append.sequence); !status)
      return status;
    int64_t length = slot(append.sequence).length;
    if (append.count < 0 || append.count > measures.sequenceTokens - length)
      return badInput("expected a sequence of at most " + std::to_string(measures.sequenceTokens) +
                      " tokens, but got " + std::to_string(length) + " and " + std::to_string(append.count) + " more")
          .withNext("shorten the prompt, or ask for a longer context if the model has one");
  }
  for (size_t i = 0; i < appends.size(); ++i) {
    int64_t before = slot(appends[i].sequence).length;
    if (grow(appends[i].sequence, appends[i].count))
      continue;
    shrink(appends[i].sequence, before);
    retract(appends.first(i));
    return resourceError("the KV cache is full: all of its " + std::to_string(measures.blocks) + " blocks of " +
                         std::to_string(measures.blockTokens) + " tokens are taken")
        .withNext("free or truncate sequences, or create the context with a larger cache");
  }
  return {};
}

void KvCache::retract(std::span<const Append> appends) noexcept {
  for (const Append &append : appends)
    shrink(append.sequence, slot(append.sequence).length - append.count);
}

/// Grows a sequence, as far as blocks last. False: they did not; shrink() to the former length then restores it.
bool KvCache::grow(SequenceId sequence, int64_t count) noexcept {
  Slot &grown = slot(sequence);
  if (count == 0)
    return true;
  int64_t held = blocksFor(grown.length);
  if (grown.length % measures.blockTokens != 0) {
    int32_t &last = row(sequence)[held - 1];
    if (references[last] > 1) {
      int32_t copy = takeBlock();
      if (copy < 0)
        return false;
      std::memcpy(memory.data() + copy * measures.blockBytes, memory.data() + last * measures.blockBytes,
                  static_cast<size_t>(measures.blockBytes));
      releaseBlock(last);
      last = copy;
    }
  }
  int64_t wanted = blocksFor(grown.length + count);
  for (; held < wanted; ++held) {
    int32_t block = takeBlock();
    if (block < 0) {
      grown.length = held * measures.blockTokens; // what it holds: shrink() gives back from there
      return false;
    }
    row(sequence)[held] = block;
  }
  grown.length += count;
  return true;
}

void KvCache::shrink(SequenceId sequence, int64_t length) noexcept {
  int64_t kept = blocksFor(length);
  for (int64_t i = blocksFor(slot(sequence).length); i-- > kept;) {
    releaseBlock(row(sequence)[i]);
    row(sequence)[i] = 0; // a block that exists, should a kernel prefetch past the end
  }
  slot(sequence).length = length;
}

int32_t KvCache::takeBlock() noexcept {
  if (usedBlocks == measures.blocks)
    return -1;
  int32_t block;
  if (releasedBlocks.empty()) {
    block = static_cast<int32_t>(references.size());
    references.push_back(0);
  } else {
    block = releasedBlocks.back();
    releasedBlocks.pop_back();
  }
  references[block] = 1;
  ++usedBlocks;
  return block;
}

void KvCache::releaseBlock(int32_t block) noexcept {
  if (--references[block] > 0)
    return;
  --usedBlocks;
  releasedBlocks.push_back(block);
}

} // namespace qopt
