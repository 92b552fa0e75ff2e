// The order in which a model is quantized: rotated, then scaled, then its codes chosen, each at most once.
//
// Statistics are of the rotated model and are brought up to date for one scale a site; a rotation undoes what scales
// have evened out; and codes fix what both would change.
#ifndef QOPT_PASSES_FOLD_STAGEORDER_H
#define QOPT_PASSES_FOLD_STAGEORDER_H

#include "lib/Support/Error.h"

#include "mlir/IR/BuiltinOps.h"

#include <string_view>

namespace qopt {

enum class QuantizationStage : uint8_t { Rotation, Scaling };

/// Whether a model is still to have that stage, which `algorithm` would do. Error (bad input): it has had it, or one
/// that comes after it. What any of its parameters shows counts, also if only some weights are quantized.
Status checkStageOrder(mlir::ModuleOp module, QuantizationStage stage, std::string_view algorithm);

} // namespace qopt

#endif // QOPT_PASSES_FOLD_STAGEORDER_H
