#ifndef QOPT_LIB_RUNTIME_KVCACHE_H
#define QOPT_LIB_RUNTIME_KVCACHE_H

#include "lib/Runtime/Memory.h"
#include "lib/Support/Error.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace qopt {

/// A sequence of a cache: its slot in the low 32 bits, and in the high 32 how often that slot was used before, so that
/// an id that was freed is refused even after its slot serves another sequence. Never negative.
using SequenceId = int64_t;

/// The measures of a cache. The layout of a block is the compiled model's own business.
struct KvCacheShape {
  int64_t blockTokens;    ///< positions per block
  int64_t blockBytes;     ///< bytes per block, all layers together; a multiple of 64
  int64_t blocks;         ///< blocks in all
  int64_t sequenceTokens; ///< most positions of one sequence
};

/// Keys and values of many sequences in blocks of `blockTokens` positions, reached through one row of a block table per
/// sequence. Blocks are counted: a fork shares all of its parent's blocks, and only when one of them appends to a
/// partly filled shared block is that one block copied. Not safe for use from several threads at once.
class KvCache {
public:
  /// Memory for all blocks is reserved here and occupied when a block is first written. Resource or usage error.
  static Result<std::unique_ptr<KvCache>> create(const KvCacheShape &shape);

  /// An empty sequence. It takes no block until something is appended. Their number is not limited. Where memory runs
  /// out (std::bad_alloc), here and in fork(), the cache is as it was.
  Result<SequenceId> createSequence();
  /// A new sequence with the same tokens. Takes no block.
  Result<SequenceId> fork(SequenceId parent);
  /// Forgets all positions from `length` on (0 to the present length).
  Status truncate(SequenceId sequence, int64_t length);
  Status freeSequence(SequenceId sequence);
  /// Tokens that the sequence holds.
  Result<int64_t> length(SequenceId sequence) const;

  /// `count` tokens to append to `sequence`.
  struct Append {
    SequenceId sequence;
    int64_t count;
  };
  /// Grows each named sequence (each named once), taking and copying blocks as needed, so that the new positions may be
  /// written. All or nothing: on an error every length is as before. Bad input where a sequence would be longer than
  /// sequenceTokens, a resource error where the blocks run out.
  Status append(std::span<const Append> appends);
  /// Undoes append().
  void retract(std::span<const Append> appends) noexcept;

  const KvCacheShape &shape() const { return measures; }
  int64_t blocksPerSequence() const { return tableWidth; }
  int64_t freeBlocks() const { return measures.blocks - usedBlocks; }
  std::byte *data() const { return memory.data(); }
  /// [slots, blocksPerSequence()] block ids; valid until the next createSequence() or fork().
  const int32_t *tables() const { return table.data(); }
  /// The sequence's row of tables().
  static int32_t slotOf(SequenceId sequence) { return static_cast<int32_t>(sequence & 0xFFFFFFFF); }

private:
  struct Slot {
    int64_t length = 0;
    uint32_t uses = 0; ///< odd: the slot holds a sequence
  };

  KvCache(const KvCacheShape &shape, Pages pages);
  Status check(SequenceId sequence) const;
  Slot &slot(SequenceId sequence) { return slots[slotOf(sequence)]; }
  const Slot &slot(SequenceId sequence) const { return slots[slotOf(sequence)]; }
  int32_t *row(SequenceId sequence) { return table.data() + slotOf(sequence) * tableWidth; }
  int64_t blocksFor(int64_t tokens) const { return (tokens + measures.blockTokens - 1) / measures.blockTokens; }
  void addSlot();
  bool grow(SequenceId sequence, int64_t count) noexcept;
  void shrink(SequenceId sequence, int64_t length) noexcept;
  int32_t takeBlock() noexcept; ///< -1 where none is free
  void releaseBlock(int32_t block) noexcept;

  const KvCacheShape measures;
  const int64_t tableWidth;
  Pages memory;
  std::vector<Slot> slots;
  std::vector<int32_t> freeSlots;
  std::vector<int32_t> table;
  std::vector<int32_t> references;     ///< per block that was ever used
  std::vector<int32_t> releasedBlocks; ///< used last, taken first: its memory is there already
  int64_t usedBlocks = 0;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_KVCACHE_H
