// The parts of SHA-256 that its two implementations share. Internal to lib/Archive.
#ifndef QOPT_LIB_ARCHIVE_SHA256BLOCKS_H
#define QOPT_LIB_ARCHIVE_SHA256BLOCKS_H

#include <cstddef>
#include <cstdint>

namespace qopt {

/// The round constants K (FIPS 180-4, section 4.2.2).
extern const uint32_t sha256RoundConstants[64];

/// Hashes `count` blocks of 64 bytes into the eight words of `state`. The second may be called only where
/// sha256HasInstructions() is true.
void sha256CompressPortable(uint32_t *state, const std::byte *blocks, size_t count);
void sha256CompressNi(uint32_t *state, const std::byte *blocks, size_t count);

} // namespace qopt

#endif // QOPT_LIB_ARCHIVE_SHA256BLOCKS_H
