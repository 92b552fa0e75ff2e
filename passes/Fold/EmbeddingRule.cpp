// The rows of a table, scaled by channel.
#include "passes/Fold/ScaleRules.h"

using namespace qopt;

Result<ScaledOperands> qopt::detail::scaleThrough(transformer::EmbeddingOp op, const Scale &scale) {
  return ScaledOperands{{&op.getTableMutable(), scale}};
}
