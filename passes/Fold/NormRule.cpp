// A norm's last step multiplies each channel by a weight: that takes the scale in, and the shift with it.
#include "passes/Fold/ScaleRules.h"

using namespace qopt;

Result<ScaledOperands> qopt::detail::scaleThrough(transformer::RmsNormOp op, const Scale &scale) {
  return ScaledOperands{{&op.getWeightMutable(), {scale.factor, 0, scale.inverse}}};
}

Result<ScaledOperands> qopt::detail::scaleThrough(transformer::LayerNormOp op, const Scale &scale) {
  ScaledOperands operands{{&op.getWeightMutable(), {scale.factor, 0, scale.inverse}}};
  if (op.getBias())
    operands.push_back({&*op.getBiasMutable().begin(), {scale.factor, 0, scale.inverse}});
  return operands;
}
