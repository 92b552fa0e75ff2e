//===-- Integrity.cpp - The artifact's digests, as bytes
//-------------------------------------------------------------===//
//
// The table stands last in the file so that it can be written after everything that it covers. It ends with its own
// digest: a damaged table must be told apart from damaged contents.
//
//===------------------------------------------------------------------------------------------------------------------===//
#include "lib/Artifact/Integrity.h"

#include <cstring>
#include <string>

namespace qopt {

static constexpr char kMagic[] = "QOPTSUM1";
static constexpr size_t kMagicBytes = sizeof kMagic - 1;

static std::span<const std::byte> asBytes(const void *data, size_t bytes) {
  return {static_cast<const std::byte *>(data), bytes};
}

std::vector<std::byte> IntegrityTable::encode() const {
  std::vector<std::byte> out;
  out.reserve(encodedBytes(sections.size(), checksums.size()));
  auto append = [&](std::span<const std::byte> bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); };
  append(asBytes(kMagic, kMagicBytes));
  append(asBytes(header.data(), header.size()));
  for (const Sha256Digest &section : sections)
    append(asBytes(section.data(), section.size()));
  for (uint64_t checksum : checksums)
    for (int shift = 0; shift < 64; shift += 8)
      out.push_back(static_cast<std::byte>(checksum >> shift));
  Sha256Digest own = sha256(out);
  append(asBytes(own.data(), own.size()));
  return out;
}

Result<IntegrityTable> IntegrityTable::decode(std::span<const std::byte> bytes, uint64_t sections, uint64_t checksums) {
  if (bytes.size() != encodedBytes(sections, checksums))
    return badInput("expected an integrity table of " + std::to_string(encodedBytes(sections, checksums)) +
                        " bytes, but got " + std::to_string(bytes.size()),
                    "tensor integrity");
  if (std::memcmp(bytes.data(), kMagic, kMagicBytes) != 0)
    return badInput("expected an integrity table that begins with " + std::string(kMagic), "tensor integrity");
  IntegrityTable table;
  size_t position = kMagicBytes;
  auto digest = [&] {
    Sha256Digest value;
    std::memcpy(value.data(), bytes.data() + position, value.size());
    position += value.size();
    return value;
  };
  table.header = digest();
  for (uint64_t i = 0; i < sections; ++i)
    table.sections.push_back(digest());
  for (uint64_t i = 0; i < checksums; ++i, position += 8) {
    uint64_t value = 0;
    for (int k = 0; k < 8; ++k)
      value |= std::to_integer<uint64_t>(bytes[position + k]) << (8 * k);
    table.checksums.push_back(value);
  }
  if (sha256(bytes.first(position)) != digest())
    return badInput("expected an integrity table that matches its own SHA-256: it is damaged", "tensor integrity");
  return table;
}

} // namespace qopt
