// SHA-256 (FIPS 180-4), by the CPU's SHA instructions where CPUID reports them.
//
// Digests are written "sha256:" and 64 lower-case hexadecimal digits wherever a person or a manifest sees them.
#ifndef QOPT_LIB_ARCHIVE_SHA256_H
#define QOPT_LIB_ARCHIVE_SHA256_H

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace qopt {

using Sha256Digest = std::array<uint8_t, 32>;

/// Which code hashes. `Best` is the fastest that this CPU has; the digest is the same.
enum class Sha256Code { Best, Portable };

class Sha256 {
public:
  explicit Sha256(Sha256Code code = Sha256Code::Best);

  void update(std::span<const std::byte> bytes);
  /// The digest of all that was given. The object must not be used afterwards.
  Sha256Digest finish();

private:
  using Compress = void (*)(uint32_t *state, const std::byte *blocks, size_t count);

  Compress compress;
  std::array<uint32_t, 8> state;
  std::array<std::byte, 64> pending;
  uint64_t total = 0; ///< bytes given so far; the last total % 64 of them wait in `pending`
};

/// The digest of `bytes`.
Sha256Digest sha256(std::span<const std::byte> bytes);

/// "sha256:…", 71 characters.
std::string toString(const Sha256Digest &digest);

/// True if the SHA instructions will be used.
bool sha256HasInstructions();

} // namespace qopt

#endif // QOPT_LIB_ARCHIVE_SHA256_H
