#ifndef QOPT_LIB_ARTIFACT_INTEGRITY_H
#define QOPT_LIB_ARTIFACT_INTEGRITY_H

#include "lib/Archive/Sha256.h"
#include "lib/Support/Error.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace qopt {

/// Offsets of parameters, code and tokenizer in the data section are multiples of this.
inline constexpr uint64_t kArtifactAlignment = 64;
/// The data section begins at a multiple of this in the file, so that offsets in it are offsets in pages.
inline constexpr uint64_t kArtifactDataAlignment = 4096;

/// The contents of an artifact's last tensor, "integrity": digests and checksums of all else. In the file, without
/// gaps: "QOPTSUM1" (8 bytes), header (32), sections (32 each), checksums (u64 little-endian each), and the SHA-256 of
/// all of these (32).
struct IntegrityTable {
  Sha256Digest header;                ///< of the file's bytes before the data section
  std::vector<Sha256Digest> sections; ///< of code.0, code.1, … and tokenizer, in the order of the file
  std::vector<uint64_t> checksums;    ///< XXH3-64 of each MiB of the weights region, the last one shorter

  static uint64_t encodedBytes(uint64_t sections, uint64_t checksums) {
    return 8 + 32 + 32 * sections + 8 * checksums + 32;
  }
  std::vector<std::byte> encode() const;
  /// Bad input where the length, the magic or the table's own digest is not what it should be.
  static Result<IntegrityTable> decode(std::span<const std::byte> bytes, uint64_t sections, uint64_t checksums);
};

} // namespace qopt

#endif // QOPT_LIB_ARTIFACT_INTEGRITY_H
