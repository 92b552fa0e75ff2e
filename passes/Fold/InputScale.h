// What scales that were taken into a weight say of its inputs.
#ifndef QOPT_PASSES_FOLD_INPUTSCALE_H
#define QOPT_PASSES_FOLD_INPUTSCALE_H

#include "lib/Parameters/ParameterEvaluator.h"

#include <vector>

namespace qopt {

/// s : [inputs], by which the inputs of a weight [outputs, inputs] have been multiplied since it was imported, and
/// which the activations that it reads have been divided by; empty if there was nothing of the kind. It is read off the
/// parameter's initializer. Errors: those of evaluating the factors.
Result<std::vector<float>> inputScale(transformer::ParameterOp weight, ParameterEvaluator &parameters);

} // namespace qopt

#endif // QOPT_PASSES_FOLD_INPUTSCALE_H
