// XXH3 is compiled into this file (XXH_INLINE_ALL), so that nothing links xxHash.
#include "lib/Archive/Checksum.h"

#include <algorithm>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace qopt {

uint64_t checksum(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

std::vector<uint64_t> checksums(std::span<const std::byte> bytes) {
  std::vector<uint64_t> values;
  values.reserve(checksumCount(bytes.size()));
  for (; !bytes.empty(); bytes = bytes.subspan(std::min<size_t>(bytes.size(), checksumChunkBytes)))
    values.push_back(checksum(bytes.first(std::min<size_t>(bytes.size(), checksumChunkBytes))));
  return values;
}

struct ChecksumStream::State {
  XXH3_state_t hash; // wants 64-byte alignment, which `new` gives by its type
  uint64_t held = 0; ///< bytes of the unfinished chunk
  std::vector<uint64_t> values;

  void close() {
    values.push_back(XXH3_64bits_digest(&hash));
    XXH3_64bits_reset(&hash);
    held = 0;
  }
};

ChecksumStream::ChecksumStream() : state(std::make_unique<State>()) { XXH3_64bits_reset(&state->hash); }
ChecksumStream::ChecksumStream(ChecksumStream &&) noexcept = default;
ChecksumStream &ChecksumStream::operator=(ChecksumStream &&) noexcept = default;
ChecksumStream::~ChecksumStream() = default;

void ChecksumStream::update(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    size_t taken = std::min<size_t>(bytes.size(), checksumChunkBytes - state->held);
    XXH3_64bits_update(&state->hash, bytes.data(), taken);
    state->held += taken;
    bytes = bytes.subspan(taken);
    if (state->held == checksumChunkBytes)
      state->close();
  }
}

std::vector<uint64_t> ChecksumStream::finish() {
  if (state->held != 0)
    state->close();
  return std::move(state->values);
}

} // namespace qopt
