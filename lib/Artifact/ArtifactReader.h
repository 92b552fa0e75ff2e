#ifndef QOPT_LIB_ARTIFACT_ARTIFACTREADER_H
#define QOPT_LIB_ARTIFACT_ARTIFACTREADER_H

#include "lib/Archive/Archive.h"
#include "lib/Artifact/Manifest.h"
#include "lib/Support/Error.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qopt {

/// A mapped artifact (docs/ArtifactFormat.md). What open() returns has been checked in all but the weights' bytes:
/// every length, the order and alignment of tensors, padding, and the digests of header, code, tokenizer and of the
/// digests themselves.
class ArtifactReader {
public:
  /// Bad input: no such file, or the part of it that is damaged or breaks the format; resource error: it may not be
  /// read.
  static Result<std::shared_ptr<const ArtifactReader>> open(const std::string &path);

  const std::string &path() const { return archive->path(); }
  const Manifest &manifest() const { return contents; }
  /// A text of the file: "qopt.manifest", "qopt.ledger", "qopt.generation" or "tokenizer", each JSON; empty where the
  /// file has none; nothing for any other key.
  std::optional<std::string_view> text(std::string_view key) const;
  std::string_view tokenizer() const { return *text("tokenizer"); }
  /// The shared object of manifest().targets[target].
  std::span<const std::byte> code(size_t target) const { return codeObjects[target]; }
  /// All tensors in the order of the file, padding among them.
  std::span<const TensorEntry> tensors() const { return archive->tensors(); }

  /// The data section up to the end of the last weight: parameter offsets count from its first byte.
  std::span<const std::byte> weights() const { return weightBytes; }
  std::span<const std::byte> fileBytes() const;

  // The weights are checked in pieces of 1 MiB, in any order, by anyone: the runtime does it with all of its threads,
  // and over a copy if it made one.
  uint64_t weightPieces() const { return checksums.size(); }
  std::span<const std::byte> weightPiece(uint64_t piece) const;
  bool pieceMatches(uint64_t piece, std::span<const std::byte> bytes) const;
  /// The error that says that a piece does not match, with the weights that lie in it.
  Error damagedPiece(uint64_t piece) const;
  /// Checks all pieces, one after another.
  Status verifyWeights() const;

private:
  explicit ArtifactReader(std::shared_ptr<const Archive> archive) : archive(std::move(archive)) {}
  Status read();
  Status readManifest();
  Status readTensors();
  Status checkIntegrity(std::span<const std::byte> integrity);

  std::shared_ptr<const Archive> archive;
  Manifest contents;
  std::span<const std::byte> weightBytes;
  std::vector<std::span<const std::byte>> codeObjects;
  std::span<const std::byte> tokenizerBytes;
  uint64_t dataStart = 0;
  std::vector<uint64_t> checksums;
};

} // namespace qopt

#endif // QOPT_LIB_ARTIFACT_ARTIFACTREADER_H
