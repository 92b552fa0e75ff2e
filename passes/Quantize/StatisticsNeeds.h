// Which linears' inputs a recipe's algorithms look at.
#ifndef QOPT_PASSES_QUANTIZE_STATISTICSNEEDS_H
#define QOPT_PASSES_QUANTIZE_STATISTICSNEEDS_H

#include "passes/Quantize/Selection.h"

#include "llvm/ADT/MapVector.h"

namespace qopt {

/// Of `targets`, which are what `recipe` selects of `module`, those whose inputs statistics have to know, and whether
/// with their Gram matrix. The head has none: calibration asks for no logits.
llvm::MapVector<QuantizationTarget *, bool> statisticsNeeded(mlir::ModuleOp module, const Recipe &recipe,
                                                             llvm::MutableArrayRef<QuantizationTarget> targets);

} // namespace qopt

#endif // QOPT_PASSES_QUANTIZE_STATISTICSNEEDS_H
