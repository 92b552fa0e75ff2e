// The fast checksum of weights: XXH3 (64 bits, seed 0) of each MiB.
//
// It finds damage at the speed of memory where SHA-256 would cost more than a whole start; it is no defence against
// malice. One value per MiB lets several threads share the work and lets a message name the damaged MiB.
#ifndef QOPT_LIB_ARCHIVE_CHECKSUM_H
#define QOPT_LIB_ARCHIVE_CHECKSUM_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace qopt {

/// Bytes that one checksum covers; the last one may cover fewer.
inline constexpr uint64_t checksumChunkBytes = 1 << 20;

/// How many checksums `bytes` bytes have.
constexpr uint64_t checksumCount(uint64_t bytes) {
  return bytes / checksumChunkBytes + (bytes % checksumChunkBytes != 0);
}

/// XXH3-64 of `bytes`, seed 0.
uint64_t checksum(std::span<const std::byte> bytes);

/// One checksum for each MiB of `bytes`: [checksumCount(bytes.size())].
std::vector<uint64_t> checksums(std::span<const std::byte> bytes);

/// The same values as checksums(), of bytes that arrive in pieces.
class ChecksumStream {
public:
  ChecksumStream();
  ChecksumStream(ChecksumStream &&) noexcept;
  ChecksumStream &operator=(ChecksumStream &&) noexcept;
  ~ChecksumStream();

  void update(std::span<const std::byte> bytes);
  /// The checksums of all that was given. The object must not be used afterwards.
  std::vector<uint64_t> finish();

private:
  struct State;
  std::unique_ptr<State> state;
};

} // namespace qopt

#endif // QOPT_LIB_ARCHIVE_CHECKSUM_H
