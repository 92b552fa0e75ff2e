// The outputs of a linear are the rows of its weight, and the elements of its bias.
#include "passes/Fold/ScaleRules.h"

using namespace qopt;

Result<ScaledOperands> qopt::detail::scaleThrough(transformer::LinearOp op, const Scale &scale) {
  ScaledOperands operands{{&op.getWeightMutable(), {scale.factor, 0, scale.inverse}}};
  if (op.getBias())
    operands.push_back({&*op.getBiasMutable().begin(), {scale.factor, 0, scale.inverse}});
  return operands;
}
