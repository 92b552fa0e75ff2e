// Words of scale pairs that recipes and options share with the passes, without MLIR.
#ifndef QOPT_PASSES_FOLD_SCALEKINDS_H
#define QOPT_PASSES_FOLD_SCALEKINDS_H

#include <cstdint>

namespace qopt {

/// Where in a model a value stands, by what makes it and what it is made into; no name is looked at.
enum class SiteKind : uint8_t {
  AttentionInput,  ///< becomes queries, keys or values
  AttentionOutput, ///< attention's result
  MlpInput,        ///< becomes what a gated product or an activation takes
  MlpOutput,       ///< a gated product's or an activation's result
  Other,
};

/// What becomes of a pair of scales that cannot be folded.
enum class Unfoldable : uint8_t { Refuse, Cancel };

} // namespace qopt

#endif // QOPT_PASSES_FOLD_SCALEKINDS_H
