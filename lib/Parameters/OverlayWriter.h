// Writes an overlay: the safetensors archive, beside the IR, that holds what a pass has computed.
//
// The tensors and the length of the ledger are known before the work begins, the ledger's digits only when it is done:
// the header is written first with a ledger of zeros, and again, of the same length, at the end. The file appears
// under its name complete or not at all (lib/Archive/OutputFile.h).
#ifndef QOPT_LIB_PARAMETERS_OVERLAYWRITER_H
#define QOPT_LIB_PARAMETERS_OVERLAYWRITER_H

#include "lib/Archive/OutputFile.h"
#include "lib/Archive/SafetensorsWriter.h"
#include "lib/Parameters/Ledger.h"

#include <nlohmann/json.hpp>

namespace qopt {

/// The metadata key of an overlay archive that says, in JSON, how it was made.
inline constexpr std::string_view provenanceKey = "qopt.provenance";

class OverlayWriter {
public:
  /// What the IR says of the archive.
  struct Written {
    uint64_t size;
    std::string headerDigest;
  };

  /// Starts the file. `ledger` has its final rows; its errors may still be zero. `provenance`: what the
  /// tensors were made from and how, without paths, times and hosts: the same work gives the same bytes. Errors: the
  /// place cannot be written, or is not a regular file; a tensor that cannot be declared.
  static Result<OverlayWriter> create(const std::string &path, std::vector<TensorDeclaration> tensors,
                                      const Ledger &ledger, const nlohmann::ordered_json &provenance);

  /// Writes a part of a tensor at `offset` bytes from its start. Several threads may write at once.
  /// Errors: the disk; a part that does not lie within the tensor (Bug).
  Status write(std::string_view tensor, uint64_t offset, std::span<const std::byte> bytes);

  /// Finishes the file, or leaves that to `outputs`. `ledger` is that of create() with its
  /// errors, and no text of it has become longer.
  Result<Written> commit(const Ledger &ledger, OutputSet *outputs = nullptr);

private:
  OverlayWriter(OutputFile file, SafetensorsPlan plan, std::string header, std::string provenance)
      : file(std::move(file)), plan(std::move(plan)), header(std::move(header)), provenance(std::move(provenance)) {}

  OutputFile file;
  SafetensorsPlan plan;
  std::string header, provenance;
};

} // namespace qopt

#endif // QOPT_LIB_PARAMETERS_OVERLAYWRITER_H
