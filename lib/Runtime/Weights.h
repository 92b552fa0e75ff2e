#ifndef QOPT_LIB_RUNTIME_WEIGHTS_H
#define QOPT_LIB_RUNTIME_WEIGHTS_H

#include "lib/Artifact/ArtifactReader.h"
#include "lib/Runtime/Memory.h"
#include "lib/Runtime/ThreadPool.h"
#include "lib/Support/Error.h"

#include <memory>
#include <string_view>

namespace qopt {

/// Where the weights lie while the model runs (measured in docs/decisions/WeightPlacement.md).
enum class WeightPlacement {
  Auto,      ///< Mapped; HugePages where the mapping has small pages and memory in 2 MiB pieces lies free
  Mapped,    ///< the file's own pages: shared between processes, dropped under pressure
  HugePages, ///< a copy in 2 MiB pages: faster to stream, private to the process
};

/// Whether the weights' checksums are compared before the first token. All else of an artifact is always checked.
enum class Verify { Full, None };

/// A model's weights in memory. At no time are they there twice: the copy is read in pieces, not through the mapping.
class Weights {
public:
  Weights() = default;
  /// Places the weights, all workers of `pool` reading, and, for Verify::Full, checking each piece as it passes. Bad
  /// input names the first piece that is damaged; resource error where memory or reading fails.
  static Result<Weights> place(std::shared_ptr<const ArtifactReader> artifact, WeightPlacement placement, Verify verify,
                               WorkerPool &pool);

  const std::byte *data() const { return start; }
  WeightPlacement placement() const { return placed; } ///< never Auto

private:
  std::shared_ptr<const ArtifactReader> artifact; // keeps the mapping
  Pages copy;
  const std::byte *start = nullptr;
  WeightPlacement placed = WeightPlacement::Mapped;
};

} // namespace qopt

#endif // QOPT_LIB_RUNTIME_WEIGHTS_H
