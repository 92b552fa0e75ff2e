// Which tokens are looked at does not change their channels.
#include "passes/Fold/ScaleRules.h"

using namespace qopt;

Result<ScaledOperands> qopt::detail::scaleThrough(transformer::SelectRowsOp op, const Scale &scale) {
  return ScaledOperands{{&op.getInputMutable(), scale}};
}
