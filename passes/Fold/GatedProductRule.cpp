// activation(gate) · up is linear in up alone: the scale goes there, and never through the activation.
#include "passes/Fold/ScaleRules.h"

using namespace qopt;

Result<ScaledOperands> qopt::detail::scaleThrough(transformer::GatedProductOp op, const Scale &scale) {
  return ScaledOperands{{&op.getUpMutable(), scale}};
}
