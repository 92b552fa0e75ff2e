// The merge loop of byte-level BPE (Sennrich et al., 2016; byte-level: Radford et al., 2019): of all adjacent pairs the
// one with the lowest rank is merged, the leftmost of equals, until no pair has a merge. Long pieces take O(n log n).
#ifndef QOPT_LIB_RUNTIME_TEXT_BYTEPAIRMERGER_H
#define QOPT_LIB_RUNTIME_TEXT_BYTEPAIRMERGER_H

#include "lib/Runtime/Text/TokenizerSpec.h"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace qopt {

/// Immutable; any number of threads may merge with it.
class BytePairMerger {
public:
  /// `results` [merges] is what TokenizerSpec::validate returned for this spec.
  BytePairMerger(const TokenizerSpec &spec, const std::vector<int32_t> &results);

  /// Appends the ids of `bytes`, one piece of fewer than 2^31 bytes. Adds to `dropped` the bytes that have no token.
  void merge(std::string_view bytes, std::vector<int32_t> &ids, size_t &dropped) const;

private:
  static constexpr uint32_t none = UINT32_MAX; ///< a rank: this pair has no merge

  uint32_t rankOf(int32_t left, int32_t right) const;
  void mergeShort(int32_t *symbols, size_t count, std::vector<int32_t> &ids) const;
  void mergeLong(std::vector<int32_t> &symbols, std::vector<int32_t> &ids) const;

  std::array<int32_t, 256> byteIds; ///< -1: the vocabulary has no token for this byte
  int32_t unknown;                  ///< -1: none
  bool fuseUnknown;

  struct Slot {
    uint64_t pair = UINT64_MAX;
    uint32_t rank = none;
  };
  std::vector<Slot> slots; ///< open addressing, a power of two, at most half full
  int shift = 0;
  std::vector<int32_t> results; ///< [merges]
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_TEXT_BYTEPAIRMERGER_H
