#ifndef QOPT_LIB_ARTIFACT_ARTIFACTWRITER_H
#define QOPT_LIB_ARTIFACT_ARTIFACTWRITER_H

#include "lib/Archive/Checksum.h"
#include "lib/Archive/SafetensorsWriter.h"
#include "lib/Artifact/Manifest.h"
#include "lib/Support/Error.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace qopt {

/// One weight of an artifact: bytes in the layout that the kernels read.
struct ArtifactWeight {
  std::string name; ///< becomes the tensor "weights.NAME"
  uint64_t bytes;
};

/// Where each weight lies: bytes from the start of the data section, in the order given, each a multiple of 64. A pure
/// function of the sizes, so that the code generator can know the offsets before an artifact exists. Bad input where
/// the sum does not fit.
Result<std::vector<uint64_t>> artifactWeightOffsets(std::span<const ArtifactWeight> weights);

/// All of an artifact but the weights' bytes.
struct ArtifactDescription {
  Manifest manifest;      ///< weightBytes and the targets' tensor names are filled in by the writer
  std::string ledger;     ///< JSON, "qopt.ledger"
  std::string generation; ///< JSON, "qopt.generation"
  std::vector<ArtifactWeight> weights;
  std::vector<std::vector<std::byte>> code; ///< a shared object for each of manifest.targets
  std::string tokenizer;                    ///< JSON
};

/// Writes an artifact crash-safely (see lib/Archive/OutputFile.h): all of the file appears under its name, or nothing
/// does. The same description and weights give the same bytes. Memory is a few pieces, not the weights.
class ArtifactWriter {
public:
  /// Checks the description as the reader would, and writes header, code and tokenizer. Bad input: a manifest that the
  /// reader would refuse, text that is not JSON, doubled names; resource error from the file.
  static Result<std::unique_ptr<ArtifactWriter>> create(const std::string &path,
                                                        const ArtifactDescription &description);

  /// The next bytes of the weights, in the order of description.weights, cut anywhere.
  Status append(std::span<const std::byte> bytes);
  /// Writes the integrity table and gives the file its name. Our bug: fewer weight bytes than announced.
  Status finish();

private:
  ArtifactWriter(SafetensorsWriter file, std::vector<ArtifactWeight> weights)
      : file(std::move(file)), weights(std::move(weights)) {}
  Status appendTail();

  SafetensorsWriter file;
  std::vector<ArtifactWeight> weights;
  std::vector<std::vector<std::byte>> code;
  std::string tokenizer;
  ChecksumStream sums;
  size_t weight = 0;         ///< the one that append() writes to
  uint64_t written = 0;      ///< bytes of it so far
  uint64_t dataPosition = 0; ///< bytes of the weights region so far, padding included
};

} // namespace qopt

#endif // QOPT_LIB_ARTIFACT_ARTIFACTWRITER_H
